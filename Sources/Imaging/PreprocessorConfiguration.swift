package import Foundation

/// What a checkpoint's `preprocessor_config.json` says about preparing pictures for it.
package struct PreprocessorConfiguration: Sendable, Equatable {
    /// How a picture is resized before the crop.
    package enum Resize: Sendable, Equatable {
        case none
        case shortestEdge(Int)
        case exact(height: Int, width: Int)
    }

    package var resize: Resize
    package var filter: ResampleFilter
    /// The side of the square that is cut from the middle; nil where there is no crop.
    package var cropSide: Int?
    /// Pixel values are multiplied by this, then `mean` is taken off, then divided by `deviation`.
    package var rescaleFactor: Double
    package var mean: [Double]
    package var deviation: [Double]

    /// CLIP's own: the short side to `side`, a centre crop, its training set's mean and standard deviation.
    package init(side: Int) {
        resize = .shortestEdge(side)
        filter = .bicubic
        cropSide = side
        rescaleFactor = 1 / 255
        mean = Self.clipMean
        deviation = Self.clipDeviation
    }

    /// Source: transformers' OPENAI_CLIP_MEAN and OPENAI_CLIP_STD.
    private static let clipMean = [0.48145466, 0.4578275, 0.40821073]
    private static let clipDeviation = [0.26862954, 0.26130258, 0.27577711]

    /// Reads the file's contents. `side` is the model's own image size, used for whatever the file leaves out.
    /// Throws: `configuration`, with the key, for what is malformed or not supported.
    package init(json: Data, side: Int) throws(ImagingError) {
        let fields = try JSONFields(json)
        self.init(side: side)
        filter = try fields.filter()
        resize = try fields.isOn("do_resize") ? fields.resize(default: resize) : .none
        cropSide = try fields.isOn("do_center_crop") ? fields.cropSide() ?? side : nil
        rescaleFactor = try fields.isOn("do_rescale") ? fields.number("rescale_factor") ?? rescaleFactor : 1
        let normalizes = try fields.isOn("do_normalize")
        mean = normalizes ? try fields.channels("image_mean") ?? mean : [0, 0, 0]
        deviation = normalizes ? try fields.channels("image_std") ?? deviation : [1, 1, 1]
        if deviation.contains(0) { throw .configuration(key: "image_std", "a standard deviation of 0 can't be divided by") }
        _ = try outputSide()
    }

    /// The side of the square that comes out.
    /// Throws: `configuration` if the steps don't end in one square of a fixed size.
    func outputSide() throws(ImagingError) -> Int {
        if let cropSide { return cropSide }
        if case .exact(let height, let width) = resize, height == width { return height }
        throw .configuration(key: "do_center_crop", "without a crop, size must be one height and width that are equal")
    }

    /// The largest side that is accepted: four times the largest published CLIP's.
    static let maximumSide = 4096
}

/// The keys of a `preprocessor_config.json`, each read with its own error.
private struct JSONFields {
    private let fields: [String: Any]

    init(_ json: Data) throws(ImagingError) {
        guard let fields = (try? JSONSerialization.jsonObject(with: json)) as? [String: Any] else {
            throw .configuration(key: "file", "it is not a JSON object")
        }
        self.fields = fields
    }

    private func value(_ key: String) -> Any? { fields[key].flatMap { $0 is NSNull ? nil : $0 } }

    func isOn(_ key: String) throws(ImagingError) -> Bool {
        guard let value = value(key) else { return true }
        guard let flag = value as? Bool else { throw .configuration(key: key, "it must be true or false") }
        return flag
    }

    func number(_ key: String) throws(ImagingError) -> Double? {
        guard let value = value(key) else { return nil }
        guard let number = value as? Double, number.isFinite else { throw .configuration(key: key, "it must be a number") }
        return number
    }

    func channels(_ key: String) throws(ImagingError) -> [Double]? {
        guard let value = value(key) else { return nil }
        guard let numbers = value as? [Double], numbers.count == 3, numbers.allSatisfy(\.isFinite) else {
            throw .configuration(key: key, "it must be three numbers, one a channel")
        }
        return numbers
    }

    func filter() throws(ImagingError) -> ResampleFilter {
        guard let code = try number("resample") else { return .bicubic }
        guard let filter = Int(exactly: code).flatMap(ResampleFilter.init(rawValue:)) else {
            throw .configuration(key: "resample", "\(code) is not supported; 3 (bicubic) and 2 (bilinear) are")
        }
        return filter
    }

    /// `size`: an integer or `shortest_edge` is the short side; `height` and `width` are both sides.
    func resize(default standard: PreprocessorConfiguration.Resize) throws(ImagingError) -> PreprocessorConfiguration.Resize {
        guard let value = value("size") else { return standard }
        if let edge = value as? Int { return .shortestEdge(try side(edge, "size")) }
        if let sizes = value as? [String: Any] {
            if let edge = sizes["shortest_edge"] as? Int { return .shortestEdge(try side(edge, "size.shortest_edge")) }
            if let height = sizes["height"] as? Int, let width = sizes["width"] as? Int {
                return .exact(height: try side(height, "size.height"), width: try side(width, "size.width"))
            }
        }
        throw .configuration(key: "size", "it must be an integer, or hold shortest_edge, or height and width")
    }

    func cropSide() throws(ImagingError) -> Int? {
        guard let value = value("crop_size") else { return nil }
        if let edge = value as? Int { return try side(edge, "crop_size") }
        if let sizes = value as? [String: Any], let height = sizes["height"] as? Int, let width = sizes["width"] as? Int {
            if height != width { throw .configuration(key: "crop_size", "\(height) x \(width) is not square") }
            return try side(height, "crop_size")
        }
        throw .configuration(key: "crop_size", "it must be an integer, or hold height and width")
    }

    private func side(_ value: Int, _ key: String) throws(ImagingError) -> Int {
        guard (1...PreprocessorConfiguration.maximumSide).contains(value) else {
            throw .configuration(key: key, "\(value) is not in 1...\(PreprocessorConfiguration.maximumSide)")
        }
        return value
    }
}
