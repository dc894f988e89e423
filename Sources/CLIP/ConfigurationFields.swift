internal import Foundation
internal import Tensors

/// The members of a JSON object in a configuration file, read with defaults and ranges.
struct ConfigurationFields {
    let file: String
    /// Where in the file, as "text_config."; empty at the top.
    let path: String
    let members: [String: JSONValue]

    init(file: String, path: String = "", members: [String: JSONValue]) {
        self.file = file
        self.path = path
        self.members = members
    }

    /// A configuration file of up to `limit` bytes whose top is an object.
    init(_ url: URL, limit: Int = 4 << 20, limits: JSONValue.Limits = .configuration) throws(CLIPError) {
        let name = url.path
        let mapped: MappedFile
        do {
            mapped = try MappedFile(url)
        } catch {
            throw .unreadable(error)
        }
        guard mapped.count <= limit else { throw .fileTooLarge(file: name, bytes: mapped.count, limit: limit) }
        let document: JSONValue
        do {
            document = try mapped.withUnsafeBytes { (bytes) throws(JSONValue.Fault) in try JSONValue.parse(bytes, limits: limits) }
        } catch {
            throw .json(file: name, offset: error.offset, reason: error.reason)
        }
        guard let members = document.object else { throw .json(file: name, offset: 0, reason: "its top is no object") }
        self.init(file: name, members: members)
    }

    /// A member, where it is there and not null.
    func value(_ key: String) -> JSONValue? {
        guard let value = members[key], value != .null else { return nil }
        return value
    }

    func refused(_ key: String, _ reason: String) -> CLIPError { .configuration(file: file, field: path + key, reason: reason) }

    func integer(_ key: String, default standard: Int, in range: ClosedRange<Int>) throws(CLIPError) -> Int {
        guard let value = value(key) else { return standard }
        guard let integer = value.integer else { throw refused(key, "is no integer") }
        guard range.contains(integer) else { throw refused(key, "is \(integer), outside \(range)") }
        return integer
    }

    /// An integer, or two equal ones, as [224, 224].
    func side(_ key: String, default standard: Int, in range: ClosedRange<Int>) throws(CLIPError) -> Int {
        guard let pair = value(key)?.array else { return try integer(key, default: standard, in: range) }
        guard pair.count == 2, let width = pair[0].integer, pair[1].integer == width else { throw refused(key, "is no square") }
        guard range.contains(width) else { throw refused(key, "is \(width), outside \(range)") }
        return width
    }

    func number(_ key: String, default standard: Double, in range: ClosedRange<Double>) throws(CLIPError) -> Double {
        guard let value = value(key) else { return standard }
        guard let number = value.double else { throw refused(key, "is no number") }
        guard range.contains(number) else { throw refused(key, "is \(number), outside \(range)") }
        return number
    }

    func text(_ key: String) throws(CLIPError) -> String? {
        guard let value = value(key) else { return nil }
        guard let text = value.string else { throw refused(key, "is no text") }
        return text
    }

    func fields(_ key: String) throws(CLIPError) -> ConfigurationFields? {
        guard let value = value(key) else { return nil }
        guard let members = value.object else { throw refused(key, "is no object") }
        return ConfigurationFields(file: file, path: path + key + ".", members: members)
    }

    /// The first of the objects that is there, or an empty one.
    func first(_ keys: [String]) throws(CLIPError) -> ConfigurationFields {
        for key in keys {
            if let fields = try fields(key) { return fields }
        }
        return ConfigurationFields(file: file, path: path + (keys.last ?? "") + ".", members: [:])
    }
}
