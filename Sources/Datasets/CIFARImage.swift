/// One image as CIFAR's files hold it: three planes of 32 x 32 bytes, red, green and blue.
enum CIFARImage {
    private static let side = 32
    private static let plane = side * side
    static let samples = 3 * plane

    /// The image number `index` of a file. `pixels` has `samples` bytes; a label without a name keeps its number.
    static func item(_ file: String, _ index: Int, label: Int, _ names: [String], _ pixels: ArraySlice<UInt8>) -> DatasetItem {
        var rows: [UInt8] = []
        rows.reserveCapacity(samples)
        for place in 0..<plane {
            for channel in 0..<3 { rows.append(pixels[pixels.startIndex + channel * plane + place]) }
        }
        return DatasetItem(
            id: "\(file)#\(index)", label: label < names.count ? names[label] : "\(label)",
            content: .loaded(StoredPNG.encode(rgb: rows, width: side, height: side)))
    }
}
