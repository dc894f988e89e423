internal import Foundation
internal import GRDB

/// Values of rows that may be damaged: one of the wrong kind is 0 or empty, never a trap. The rows' own checks tell.
extension Row {
    func integer(_ index: Int) -> Int64 { optionalInteger(index) ?? 0 }
    func integer(_ column: String) -> Int64 { optionalInteger(column) ?? 0 }

    func optionalInteger(_ index: Int) -> Int64? { Self.integer(self[index] as DatabaseValue) }
    func optionalInteger(_ column: String) -> Int64? { Self.integer(self[column] as DatabaseValue) }

    func bytes(_ index: Int) -> [UInt8] { Self.bytes(self[index] as DatabaseValue) }
    func bytes(_ column: String) -> [UInt8] { Self.bytes(self[column] as DatabaseValue) }

    func text(_ index: Int) -> String { Self.text(self[index] as DatabaseValue) }
    func text(_ column: String) -> String { Self.text(self[column] as DatabaseValue) }

    private static func integer(_ value: DatabaseValue) -> Int64? {
        if case .int64(let integer) = value.storage { integer } else { nil }
    }

    private static func bytes(_ value: DatabaseValue) -> [UInt8] {
        if case .blob(let data) = value.storage { [UInt8](data) } else { [] }
    }

    private static func text(_ value: DatabaseValue) -> String {
        if case .string(let text) = value.storage { text } else { "" }
    }
}
