import Foundation
import Testing
import Tuning

struct FeatureStoreTests {
    private func digest(_ value: UInt8) -> [UInt8] { [UInt8](repeating: value, count: 32) }

    private func file(_ folder: URL) throws -> URL {
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        return folder.appendingPathComponent(try #require(names.first))
    }

    @Test func `features outlive a process, by tower and content`() throws {
        let folder = try TemporaryFolder()
        let store = FeatureStore(folder: folder.url, identity: "tower", length: 3)
        store.put([1, 2, 3], for: digest(1))
        store.put([4, 5, 6], for: digest(2))
        store.flush()
        store.put([7, 8, 9], for: digest(3))
        store.flush()
        let again = FeatureStore(folder: folder.url, identity: "tower", length: 3)
        #expect(again.count == 3 && again[digest(1)] == [1, 2, 3] && again[digest(3)] == [7, 8, 9] && again[digest(4)] == nil)
        #expect(FeatureStore(folder: folder.url, identity: "another tower", length: 3).count == 0)
    }

    @Test func `a torn or damaged record counts as absent, and the next ones are kept`() throws {
        let folder = try TemporaryFolder()
        let store = FeatureStore(folder: folder.url, identity: "tower", length: 3)
        for value in 1...3 { store.put([Float(value), 0, 0], for: digest(UInt8(value))) }
        store.flush()
        let url = try file(folder.url)
        var bytes = [UInt8](try Data(contentsOf: url))
        let record = 32 + 12 + 8
        bytes[64 + record + 33] ^= 1
        try Data(bytes.dropLast(5)).write(to: url)
        let damaged = FeatureStore(folder: folder.url, identity: "tower", length: 3)
        #expect(damaged[digest(1)] == [1, 0, 0] && damaged[digest(2)] == nil && damaged[digest(3)] == nil)
        damaged.put([9, 0, 0], for: digest(3))
        damaged.flush()
        let again = FeatureStore(folder: folder.url, identity: "tower", length: 3)
        #expect(again[digest(1)] == [1, 0, 0] && again[digest(3)] == [9, 0, 0])
        try Data("not a store".utf8).write(to: url)
        #expect(FeatureStore(folder: folder.url, identity: "tower", length: 3).count == 0)
    }
}
