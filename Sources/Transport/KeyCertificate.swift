internal import Glibc

/// A key file as czmq and pyzmq read and write them: ZPL (ZeroMQ RFC 4) with the sections `metadata` and `curve`.
package struct KeyCertificate: Hashable, Sendable {
    package var metadata: [String: String]
    package var publicKey: CurveKey
    /// Nil in a public certificate.
    package var secretKey: CurveKey?

    package init(metadata: [String: String], publicKey: CurveKey, secretKey: CurveKey? = nil) {
        self.metadata = metadata
        self.publicKey = publicKey
        self.secretKey = secretKey
    }

    /// Both keys. Nil in a public certificate.
    package var pair: CurveKeyPair? { secretKey.map { CurveKeyPair(publicKey: publicKey, secretKey: $0) } }

    /// Reads the certificate at `path`.
    ///
    /// Throws `KeyFileError`; a file with a secret key that others than its owner may read is refused.
    package init(contentsOf path: String) throws(KeyFileError) {
        let (text, isExposed) = try KeyFile.read(path)
        try self.init(text: text, path: path)
        if secretKey != nil, isExposed { throw .exposed(path: path) }
    }

    /// Reads the text of a certificate; `path` is for messages.
    package init(text: String, path: String) throws(KeyFileError) {
        let values = KeyFile.values(text)
        func key(_ name: String) throws(KeyFileError) -> CurveKey? {
            guard let text = values["curve/\(name)"] else { return nil }
            guard let key = CurveKey(text: text) else { throw .malformed(path: path, reason: "its \(name) is not 40 characters of Z85") }
            return key
        }
        secretKey = try key("secret-key")
        guard let publicKey = try key("public-key") ?? secretKey.flatMap({ CurveKeyPair(secretKey: $0)?.publicKey }) else {
            throw .malformed(path: path, reason: "it has no public-key under curve")
        }
        if let secretKey, CurveKeyPair(secretKey: secretKey)?.publicKey != publicKey {
            throw .malformed(path: path, reason: "its keys do not belong together")
        }
        self.publicKey = publicKey
        metadata = [:]
        for (name, value) in values where name.hasPrefix("metadata/") { metadata[String(name.dropFirst(9))] = value }
    }

    /// The certificate as text.
    package var text: String {
        var lines = [
            "#   ZeroMQ CURVE \(secretKey == nil ? "public" : "**secret**") certificate",
            secretKey == nil ? "#   Hand it to whoever shall accept this identity." : "#   Keep it to yourself.", "", "metadata",
        ]
        for (name, value) in metadata.sorted(by: { $0.key < $1.key }) { lines.append("    \(name) = \"\(value)\"") }
        lines += ["curve", "    public-key = \"\(publicKey.text)\""]
        if let secretKey { lines.append("    secret-key = \"\(secretKey.text)\"") }
        return lines.joined(separator: "\n") + "\n"
    }

    /// Writes it to a new file, 0600 if it has a secret key and 0644 otherwise. Throws `KeyFileError`, also if the file exists.
    package func write(to path: String) throws(KeyFileError) {
        try KeyFile.write(text, to: path, isSecret: secretKey != nil)
    }
}

/// Why a key file can't be used.
package enum KeyFileError: Error, Hashable, Sendable {
    case unreadable(path: String, errno: Int32)
    case malformed(path: String, reason: String)
    /// Others than its owner may read the secret key.
    case exposed(path: String)
    case unwritable(path: String, errno: Int32)
    case unreadableFolder(path: String, errno: Int32)
    /// A folder of keys has none of this name.
    case unknown(name: String, folder: String)

    /// Stable and for programs.
    package var code: String {
        switch self {
        case .unreadable, .unreadableFolder: "key.unreadable"
        case .malformed: "key.malformed"
        case .exposed: "key.exposed"
        case .unwritable: "key.unwritable"
        case .unknown: "key.unknown"
        }
    }
}

extension KeyFileError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unreadable(let path, let code): "can't read the key file \(path): \(Self.text(code)). Make one with p4q keys new"
        case .malformed(let path, let reason): "\(path) is not a key file: \(reason). Make one with p4q keys new"
        case .exposed(let path): "\(path) holds a secret key that others may read: run chmod 600 on it, or better make a new one"
        case .unwritable(let path, EEXIST): "\(path) is there already: choose another name, or remove it first"
        case .unwritable(let path, let code): "can't write the key file \(path): \(Self.text(code))"
        case .unreadableFolder(let path, ENOENT): "there is no folder of keys \(path); p4q keys allow makes it for the first that is let in"
        case .unreadableFolder(let path, let code): "can't read the folder of keys \(path): \(Self.text(code))"
        case .unknown(let name, let folder): "\(folder) has no key of \(name); p4q keys list --allow \(folder) shows whose it has"
        }
    }

    private static func text(_ code: Int32) -> String { String(cString: strerror(code)) }
}
