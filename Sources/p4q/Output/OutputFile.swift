import Datasets
import Foundation

/// Files and folders that a command makes.
enum OutputFile {
    static func makeFolder(_ url: URL) throws(DatasetError) {
        do { try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true) } catch {
            throw .unwritable(path: url.path, reason: "\(error.localizedDescription)")
        }
    }

    static func write(_ data: Data, to url: URL) throws(DatasetError) {
        do { try data.write(to: url) } catch { throw .unwritable(path: url.path, reason: "\(error.localizedDescription)") }
    }
}
