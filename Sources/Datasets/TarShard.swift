internal import Foundation

/// The images of a tar archive with their labels.
///
/// Members in a row whose names are the same up to the first dot of the last component are one sample (WebDataset): `x.jpg` with `x.cls`,
/// `x.json` or `x.txt`, in whatever order. Otherwise the folder in the name is the label, as in `cat/0001.jpg`.
struct TarShard {
    private struct Sample {
        var key: [UInt8]
        var images: [(name: [UInt8], bytes: [UInt8])] = []
        var labels: [LabelSource: String] = [:]
    }

    private enum LabelSource: CaseIterable { case cls, json, txt }

    /// Images of one sample that wait for its label. More are given out without: names may agree by chance (`img.1.jpg`, `img.2.jpg`, …).
    private static let mostWaiting = 8
    /// Bytes of a file that holds a label; more is something else.
    private static let largestLabelFile = 64 << 10
    /// UTF-8 bytes of a label, as a job can carry them.
    private static let longestLabel = 512

    private var tar: TarReader
    private let name: String
    private let limit: Int
    private var sample = Sample(key: [])
    private var ready: [DatasetItem] = []
    private var failure: DatasetError?
    private var isAtEnd = false

    init(_ path: [UInt8], limit: Int) throws(DatasetError) {
        let file = try InputFile(path)
        name = file.name
        tar = TarReader(file)
        self.limit = limit
    }

    /// The next image, or nil at the end. An error about one member leaves the others; one about the archive comes after the images
    /// before it, and ends it.
    mutating func next() throws(DatasetError) -> DatasetItem? {
        while true {
            if !ready.isEmpty { return ready.removeFirst() }
            if let failure {
                self.failure = nil
                throw failure
            }
            guard !isAtEnd else { return nil }
            do throws(DatasetError) {
                if let member = try tar.next() {
                    try take(member)
                    continue
                }
            } catch {
                if case .tooLarge = error { throw error }
                failure = error
            }
            isAtEnd = true
            flush()
        }
    }

    private mutating func take(_ member: TarReader.Member) throws(DatasetError) {
        let (key, suffix) = Self.split(member.name)
        if key != sample.key {
            flush()
            sample = Sample(key: key)
        }
        if member.name.isImageName {
            guard member.size <= limit else {
                throw .tooLarge(item: "\(name): \(String(decoding: member.name, as: UTF8.self))", bytes: member.size, limit: limit)
            }
            sample.images.append((member.name, try tar.readMember()))
            if sample.images.count > Self.mostWaiting { ready.append(item(sample.images.removeFirst())) }
        } else if let source = LabelSource.allCases.first(where: { "\($0)".utf8.elementsEqual(suffix) }),
            member.size <= Self.largestLabelFile
        {
            sample.labels[source] = Self.label(try tar.readMember(), source)
        }
    }

    private mutating func flush() {
        ready += sample.images.map(item)
        sample.images = []
    }

    private func item(_ image: (name: [UInt8], bytes: [UInt8])) -> DatasetItem {
        let parts = image.name.split(separator: UInt8(ascii: "/"))
        let folder = parts.count > 1 ? String(decoding: parts[parts.count - 2], as: UTF8.self) : nil
        let label = LabelSource.allCases.lazy.compactMap { sample.labels[$0] }.first ?? folder
        return DatasetItem(id: String(decoding: image.name, as: UTF8.self), label: label, content: .loaded(image.bytes))
    }

    /// `a/b.c.jpg` into `a/b` and `c.jpg`.
    private static func split(_ name: [UInt8]) -> (key: [UInt8], suffix: [UInt8]) {
        let base = name.lastIndex(of: UInt8(ascii: "/")).map { $0 + 1 } ?? 0
        guard let dot = name[base...].firstIndex(of: UInt8(ascii: ".")) else { return (name, []) }
        return (Array(name[..<dot]), Array(name[(dot + 1)...]))
    }

    /// The label in a file beside an image, or nil if there is none to be found in it.
    private static func label(_ bytes: [UInt8], _ source: LabelSource) -> String? {
        guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
        var label: String?
        if source == .json {
            let object = (try? JSONSerialization.jsonObject(with: Data(bytes))) as? [String: Any]
            let value = ["label", "class", "cls"].lazy.compactMap { object?[$0] }.first
            label = value as? String ?? (value as? Int).map { "\($0)" }
        } else {
            label = text.split(whereSeparator: \.isNewline).first.map(String.init)
        }
        label = label?.trimmingCharacters(in: .whitespacesAndNewlines)
        guard let label, !label.isEmpty, label.utf8.count <= longestLabel else { return nil }
        return label
    }
}
