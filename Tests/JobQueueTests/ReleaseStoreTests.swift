import Foundation
import JobQueue
import Testing

/// What every store must do with releases and class sets.
@Suite struct ReleaseStoreTests {
    private func release(_ version: UInt64, after parent: UInt64, shadow: Bool = false, content: UInt8 = 1, set: String = "s")
        -> StoredRelease
    {
        StoredRelease(
            classSet: set, version: version, parent: parent, isShadow: shadow, contentSHA256: Self.digest(content),
            signed: [UInt8(truncatingIfNeeded: version), 7], accepted: WallTime(milliseconds: 5))
    }

    /// SHA-256 of a content of this byte alone, so that a store that checks finds it sound.
    private static func digest(_ byte: UInt8) -> [UInt8] {
        switch byte {
        case 1: Self.hex("4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a")
        case 2: Self.hex("dbc1b4c900ffe48d575b5da5c638040125f65db0fe3e24494b76ea986457d986")
        default: [UInt8](repeating: byte, count: 32)
        }
    }

    private static func hex(_ text: String) -> [UInt8] {
        let digits = Array(text)
        return stride(from: 0, to: digits.count, by: 2).compactMap { UInt8(String(digits[$0...$0 + 1]), radix: 16) }
    }

    private let row = ClassSetRow(name: "s", sha256: "aa", text: "{}")

    @Test(arguments: StoreMaker.all)
    func `a release is compared and set, and everything is there after a restart`(maker: StoreMaker) async throws {
        let folder = try TemporaryFolder()
        var store = try maker.make(folder.journal)
        let epoch = try await store.open(partition).epoch
        #expect(try await store.releaseSlots(in: partition) == ReleaseSlots())
        func publish(_ release: StoredRelease, _ content: [UInt8]?) async throws -> CommittedRelease {
            try await store.commit(.publish(release, content: content, row), epoch: epoch, in: partition)
        }
        #expect(try await publish(release(1, after: 0), [1]).sequence == 1)
        await #expect(throws: ReleaseRefusal.conflict(live: 1)) { try await publish(release(2, after: 0), [1]) }
        await #expect(throws: ReleaseRefusal.notNewer(last: 1)) { try await publish(release(1, after: 1), [1]) }
        await #expect(throws: ReleaseRefusal.contentGone) { try await publish(release(2, after: 1, content: 2), nil) }
        #expect(try await store.releaseContent(Self.digest(2), in: partition) == nil)
        #expect(try await publish(release(3, after: 1, shadow: true, content: 2), [2]).slot.shadow == 3)
        // A shadow takes its number too.
        await #expect(throws: ReleaseRefusal.notNewer(last: 3)) { try await publish(release(2, after: 1), [1]) }
        let promoted = try await publish(release(4, after: 1, content: 2), nil)
        #expect(promoted.sequence == 3 && promoted.slot.live == 4 && promoted.slot.previous == 1 && promoted.slot.shadow == 0)
        await #expect(throws: ReleaseRefusal.conflict(live: 4)) {
            try await store.commit(.pin(classSet: "s", version: 1), epoch: epoch, in: partition)
        }
        _ = try await store.commit(.pin(classSet: "s", version: 4), epoch: epoch, in: partition)
        await #expect(throws: ReleaseRefusal.pinned(version: 4)) { try await publish(release(5, after: 4), [1]) }
        _ = try await publish(release(5, after: 4, shadow: true), [1])
        _ = try await store.commit(.unpin(classSet: "s"), epoch: epoch, in: partition)
        _ = try await store.commit(.dropShadow(classSet: "s"), epoch: epoch, in: partition)
        await #expect(throws: ReleaseRefusal.unknown) {
            try await store.commit(.dropShadow(classSet: "other"), epoch: epoch, in: partition)
        }
        _ = try await store.commit(.putClassSet(ClassSetRow(name: "t", sha256: "bb", text: "t")), epoch: epoch, in: partition)

        let before = try await store.releaseSlots(in: partition)
        #expect(before.sequence == 8 && before.slots.map(\.classSet) == ["s", "t"] && before.releases.map(\.version) == [4])
        #expect(before.slots[0].classSetSHA256 == "aa" && before.slots[1].classSetSHA256 == "bb" && before.slots[0].last == 5)
        try await store.close()
        if maker.outlivesInstance { store = try maker.make(folder.journal) }
        _ = try await store.open(partition)
        #expect(try await store.releaseSlots(in: partition) == before)
        let all = try await store.releases(of: "s", before: .max, limit: 9, in: partition)
        #expect(all.map(\.version) == [5, 4, 3, 1] && all.allSatisfy(\.hasContent) && all[3].signed == [1, 7] && all[0].isShadow)
        #expect(try await store.releases(of: "s", before: 4, limit: 1, in: partition).map(\.version) == [3])
        #expect(try await store.releaseContent(Self.digest(2), in: partition) == [2])
        #expect(try await store.classSetText(named: "t", in: partition) == "t")
        await #expect(throws: JobQueueError.self) { try await publish(release(9, after: 4), [1]) }
        try await store.close()
    }

    @Test(arguments: StoreMaker.all)
    func `contents of old releases go, those in place and of other class sets stay`(maker: StoreMaker) async throws {
        let folder = try TemporaryFolder()
        let store = try maker.make(folder.journal)
        let epoch = try await store.open(partition).epoch
        _ = try await store.commit(.publish(release(1, after: 0, set: "other"), content: [1], row), epoch: epoch, in: partition)
        let count = UInt64(ReleaseLimits.contents) + 8
        for version in 1...count {
            let byte: UInt8 = version == 1 ? 1 : version == 2 ? 2 : UInt8(version)
            _ = try await store.commit(
                .publish(release(version, after: version - 1, content: byte), content: [byte], row), epoch: epoch, in: partition)
        }
        let kept = try await store.releases(of: "s", before: .max, limit: 99, in: partition).filter(\.hasContent).map(\.version)
        // Version 1 has the bytes of the other class set's live release.
        #expect(kept == (9...count).reversed() + [1])
        #expect(try await store.releaseContent(Self.digest(2), in: partition) == nil)
        #expect(try await store.releaseContent(Self.digest(1), in: partition) == [1])
        try await store.close()
    }

    @Test func `class sets are bounded`() async throws {
        let store = MemoryStore()
        let epoch = try await store.open(partition).epoch
        for index in 0..<ReleaseLimits.classSets {
            _ = try await store.commit(.putClassSet(ClassSetRow(name: "\(index)", sha256: "", text: "")), epoch: epoch, in: partition)
        }
        await #expect(throws: ReleaseRefusal.tooMany(limit: ReleaseLimits.classSets)) {
            try await store.commit(.putClassSet(ClassSetRow(name: "more", sha256: "", text: "")), epoch: epoch, in: partition)
        }
    }
}
