internal import CImageCodecs

// Where files keep their orientation: EXIF first, and XMP where EXIF has none, as Pillow looks for it. Damaged metadata never makes a
// picture unusable: it is then taken as upright.
extension Orientation {
    init(_ bytes: UnsafeRawBufferPointer, _ format: ImageFormat) {
        var metadata = Metadata()
        switch format {
        case .png: metadata.readPNG(bytes)
        case .jpeg: metadata.readJPEG(bytes)
        }
        self = metadata.orientation
    }
}

private struct Metadata {
    private var exif: [UInt8]?
    private var rawProfile: [UInt8]?  // ImageMagick's text form of EXIF
    private var xmp: [UInt8]?

    /// Text that unfolds to more is not EXIF; what Pillow allows too.
    private static let maximumText = 1 << 20

    var orientation: Orientation {
        let block = exif ?? rawProfile.flatMap(Self.unhex)
        if let block, let found = block.withUnsafeBytes({ TIFFDirectory.orientation(in: Self.withoutPrefix($0)) }) {
            return Orientation(rawValue: found) ?? .upright
        }
        return xmp.flatMap { $0.withUnsafeBytes(Self.xmpOrientation) } ?? .upright
    }

    // MARK: JPEG

    /// Reads the application segments before the first scan; EXIF may be spread over several.
    mutating func readJPEG(_ bytes: UnsafeRawBufferPointer) {
        var at = 2
        while at + 4 <= bytes.count {
            if bytes[at] != 0xFF || bytes[at + 1] == 0xFF || bytes[at + 1] == 0 {  // padding or junk between segments
                at += 1
                continue
            }
            let marker = bytes[at + 1]
            if Self.standsAlone(marker) {
                at += 2
                continue
            }
            let length = Int(bytes[at + 2]) << 8 | Int(bytes[at + 3])
            if marker == 0xDA || length < 2 || length > bytes.count - at - 2 { return }
            if marker == 0xE1 { readApplicationSegment(UnsafeRawBufferPointer(rebasing: bytes[(at + 4)..<(at + 2 + length)])) }
            at += 2 + length
        }
    }

    private static func standsAlone(_ marker: UInt8) -> Bool {
        (0xD0...0xD9).contains(marker) || marker == 0xC8 || (0xF0...0xFD).contains(marker)
    }

    private mutating func readApplicationSegment(_ segment: UnsafeRawBufferPointer) {
        let xmpName = Array("http://ns.adobe.com/xap/1.0/".utf8) + [0]
        if segment.starts(with: TIFFDirectory.exifPrefix) {
            exif = exif.map { $0 + segment.dropFirst(TIFFDirectory.exifPrefix.count) } ?? Array(segment)
        } else if segment.starts(with: xmpName) {
            xmp = Array(segment.dropFirst(xmpName.count))
        }
    }

    // MARK: PNG

    /// Reads the chunks before and after the picture.
    mutating func readPNG(_ bytes: UnsafeRawBufferPointer) {
        var at = 8
        while at + 12 <= bytes.count {
            let length = Int(bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self).bigEndian)
            let type = bytes.loadUnaligned(fromByteOffset: at + 4, as: UInt32.self).bigEndian
            if length > bytes.count - at - 12 { return }
            let data = UnsafeRawBufferPointer(rebasing: bytes[(at + 8)..<(at + 8 + length)])
            switch type {
            case 0x4945_4E44: return  // IEND
            case 0x6558_4966: exif = Array(data)  // eXIf
            case 0x7445_5874: readText(data)  // tEXt
            case 0x7A54_5874: readCompressedText(data)  // zTXt
            case 0x6954_5874: readInternationalText(data)  // iTXt
            default: break
            }
            at += 12 + length
        }
    }

    /// keyword, 0, text
    private mutating func readText(_ data: UnsafeRawBufferPointer) {
        guard let (keyword, text) = Self.split(data[...]) else { return }
        if keyword.elementsEqual("exif".utf8) { exif = Array(text) } else { store(keyword, Array(text)) }
    }

    /// keyword, 0, compression method 0, zlib stream
    private mutating func readCompressedText(_ data: UnsafeRawBufferPointer) {
        guard let (keyword, rest) = Self.split(data[...]), rest.first == 0, Self.isWanted(keyword) else { return }
        store(keyword, Self.inflate(rest.dropFirst()))
    }

    /// keyword, 0, compressed?, method, language, 0, translated keyword, 0, text
    private mutating func readInternationalText(_ data: UnsafeRawBufferPointer) {
        guard let (keyword, rest) = Self.split(data[...]), rest.count >= 2, Self.isWanted(keyword) else { return }
        let (flag, method) = (rest[rest.startIndex], rest[rest.startIndex + 1])
        guard let (_, afterLanguage) = Self.split(rest.dropFirst(2)), let (_, text) = Self.split(afterLanguage) else { return }
        if flag == 0 { store(keyword, Array(text)) } else if method == 0 { store(keyword, Self.inflate(text)) }
    }

    private static let profileKeyword = "Raw profile type exif"
    private static let xmpKeyword = "XML:com.adobe.xmp"

    private static func isWanted(_ keyword: Slice<UnsafeRawBufferPointer>) -> Bool {
        keyword.elementsEqual(profileKeyword.utf8) || keyword.elementsEqual(xmpKeyword.utf8)
    }

    private mutating func store(_ keyword: Slice<UnsafeRawBufferPointer>, _ text: [UInt8]?) {
        guard let text else { return }
        if keyword.elementsEqual(Self.profileKeyword.utf8) { rawProfile = text }
        if keyword.elementsEqual(Self.xmpKeyword.utf8) { xmp = text }
    }

    private static func split(
        _ bytes: Slice<UnsafeRawBufferPointer>
    ) -> (Slice<UnsafeRawBufferPointer>, Slice<UnsafeRawBufferPointer>)? {
        guard let zero = bytes.firstIndex(of: 0) else { return nil }
        return (bytes[bytes.startIndex..<zero], bytes[(zero + 1)...])
    }

    private static func inflate(_ bytes: Slice<UnsafeRawBufferPointer>) -> [UInt8]? {
        let source = UnsafeRawBufferPointer(rebasing: bytes)
        let text = [UInt8](unsafeUninitializedCapacity: maximumText) { buffer, count in
            count = p4q_inflate(source.baseAddress, source.count, buffer.baseAddress, buffer.count)
        }
        return text.isEmpty ? nil : text
    }

    /// Hexadecimal digits after three lines: nothing, the profile's name, its length.
    private static func unhex(_ text: [UInt8]) -> [UInt8]? {
        let lines = text.split(separator: 0x0A, maxSplits: 3, omittingEmptySubsequences: false)
        guard lines.count == 4 else { return nil }
        var (bytes, high): ([UInt8], UInt8?) = ([], nil)
        for character in lines[3] where character > 0x20 {
            guard let digit = Character(UnicodeScalar(character)).hexDigitValue.map(UInt8.init) else { return nil }
            if let first = high {
                bytes.append(first << 4 | digit)
                high = nil
            } else {
                high = digit
            }
        }
        return bytes
    }

    private static func withoutPrefix(_ block: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        var rest = block[...]
        for _ in 0..<2 where rest.starts(with: TIFFDirectory.exifPrefix) { rest = rest.dropFirst(TIFFDirectory.exifPrefix.count) }
        return UnsafeRawBufferPointer(rebasing: rest)
    }

    // MARK: XMP

    /// The digit of `tiff:Orientation="6"` or `<tiff:Orientation>6<`.
    private static func xmpOrientation(_ text: UnsafeRawBufferPointer) -> Orientation? {
        let name = Array("tiff:Orientation".utf8)
        var at = 0
        while at + name.count + 2 <= text.count {
            guard text[at] == name[0], text[at..<(at + name.count)].elementsEqual(name) else {
                at += 1
                continue
            }
            var next = at + name.count
            if text[next] == UInt8(ascii: ">") {
                next += 1
            } else if text[next] == UInt8(ascii: "="), text[next + 1] == UInt8(ascii: "\"") {
                next += 2
            }
            if next > at + name.count, next < text.count, (0x30...0x39).contains(text[next]) {
                return Orientation(rawValue: Int(text[next] - 0x30))
            }
            at += name.count
        }
        return nil
    }
}
