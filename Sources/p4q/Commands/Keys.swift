import ArgumentParser
import Foundation
import Services
import Transport

/// `p4q keys`: identities for CURVE.
struct Keys: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make, list, allow and revoke the keys of dispatchers and their peers.",
        subcommands: [New.self, Allow.self, Revoke.self, List.self])

    /// `p4q keys new`
    struct New: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a key pair: NAME.key (public) and NAME.key_secret (yours, mode 0600).",
            discussion: "With --role publisher it is a pair for signing releases (Ed25519); without, one for connections (CURVE).")

        @Argument(help: "The name of the identity, 1 to 64 bytes.") var name: String

        @Option(name: .long, help: "The folder to write to.", completion: .directory)
        var folder = "."

        @Option(name: .long, help: "publisher: a pair that releases are signed with.")
        var role: String?

        func validate() throws {
            try checkName(name)
            if let role, role != Role.publisher.rawValue {
                throw ValidationError("--role is publisher or left out: what a connection's key may do is said by p4q keys allow")
            }
        }

        func run() throws {
            if role != nil {
                try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
                try PublisherKey(name: name).write(to: "\(folder)/\(name)")
                return print("\(folder)/\(name).key\n\(folder)/\(name).key_secret")
            }
            let pair = try CurveKeyPair()
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            let secret = KeyCertificate(metadata: ["name": name], publicKey: pair.publicKey, secretKey: pair.secretKey)
            try secret.write(to: "\(folder)/\(name).key_secret")
            try KeyCertificate(metadata: ["name": name], publicKey: pair.publicKey).write(to: "\(folder)/\(name).key")
            print("\(folder)/\(name).key\n\(folder)/\(name).key_secret")
        }
    }

    /// `p4q keys allow`
    struct Allow: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Let the holder of a public key in; a running dispatcher takes it up within two seconds.")

        @Argument(help: "The public key file (NAME.key).", completion: .file()) var file: String

        @Option(name: .long, help: "What the holder may do: producer, worker, sink, trainer, publisher, admin; separated by commas.")
        var role: String

        @Option(name: .long, help: "The dispatcher's folder of keys.", completion: .directory)
        var allow: String

        @Option(name: .long, help: "The name to know it by; the file's own if not given.")
        var name: String?

        func validate() throws {
            if let name { try checkName(name) }
            for word in role.split(separator: ",") where Role(rawValue: String(word)) == nil {
                throw ValidationError("\(word) is not a role; there are \(Role.allCases.map(\.rawValue).joined(separator: ", "))")
            }
        }

        func run() throws {
            let certificate = try KeyCertificate(contentsOf: file)
            guard let name = name ?? certificate.metadata["name"] else { throw ValidationError("\(file) has no name: give --name") }
            try checkName(name)
            try FileManager.default.createDirectory(atPath: allow, withIntermediateDirectories: true)
            let entry = KeyCertificate(metadata: ["name": name, "roles": role], publicKey: certificate.publicKey)
            let path = "\(allow)/\(name).key"
            if FileManager.default.fileExists(atPath: path) {
                let old = try KeyCertificate(contentsOf: path)
                guard old.publicKey == entry.publicKey else {
                    throw KeyFileError.malformed(path: path, reason: "another key has the name \(name); revoke that one first")
                }
                try FileManager.default.removeItem(atPath: path)
            }
            try entry.write(to: path)
            print("\(name): \(role)")
        }
    }

    /// `p4q keys revoke`
    struct Revoke: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shut the holder of a key out, connections that are open included, within two seconds.")

        @Argument(help: "The name it is known by.") var name: String

        @Option(name: .long, help: "The dispatcher's folder of keys.", completion: .directory)
        var allow: String

        func run() throws {
            let path = "\(allow)/\(name).key"
            guard unlink(path) == 0 else {
                let code = errno
                throw code == ENOENT ? KeyFileError.unknown(name: name, folder: allow) : .unwritable(path: path, errno: code)
            }
            print("\(name) is revoked")
        }
    }

    /// `p4q keys list`
    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "The keys that are let in, and their roles.")

        @Option(name: .long, help: "The dispatcher's folder of keys.", completion: .directory)
        var allow: String

        func run() throws {
            for (key, identity) in try AllowList(folder: allow).identities {
                print("\(identity.name)\t\(identity.roles.map(\.rawValue).sorted().joined(separator: ","))\t\(key.text)")
            }
        }
    }
}

/// A name that can be a file's and a user id.
private func checkName(_ name: String) throws {
    let isGood =
        (1...64).contains(name.utf8.count) && !name.hasPrefix(".")
        && name.unicodeScalars.allSatisfy { $0.properties.isAlphabetic || ("0"..."9").contains($0) || "-_.@".unicodeScalars.contains($0) }
    if !isGood { throw ValidationError("a name is 1 to 64 bytes of letters, digits, -, _, . and @") }
}
