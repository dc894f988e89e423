internal import Synchronization

/// What the holder of a key may do.
package enum Role: String, Hashable, Sendable, CaseIterable {
    case producer, worker, sink, trainer, publisher, admin
}

/// Who may come in: a folder of public certificates, each with a name and roles in its metadata. Taking a file away takes the right away,
/// at once also from connections that are open, because every message is looked up by its user id.
package final class AllowList: Sendable {
    /// An accepted identity.
    package struct Identity: Hashable, Sendable {
        package let name: String
        package let roles: Set<Role>

        package init(name: String, roles: Set<Role>) { (self.name, self.roles) = (name, roles) }
    }

    private struct State {
        var byKey: [CurveKey: Identity] = [:]
        var byName: [String: Identity] = [:]
        var byUserID: [String: Identity] = [:]
    }

    private let folder: String
    private let state = Mutex(State())

    /// The certificates (`*.key`) in `folder`. Throws `KeyFileError` for any file that can't be used.
    package init(folder: String) throws(KeyFileError) {
        self.folder = folder
        try reload()
    }

    /// Reads the folder again. Throws for any file that can't be used, and then nothing has changed.
    package func reload() throws(KeyFileError) {
        var new = State()
        for file in try KeyFile.publicFiles(in: folder) {
            // The keys of those who sign releases may lie beside; they let nobody in.
            let (text, _) = try KeyFile.read(file)
            if KeyFile.values(text)["ed25519/public-key"] != nil { continue }
            let certificate = try KeyCertificate(contentsOf: file)
            guard let name = certificate.metadata["name"], !name.isEmpty, name.utf8.count <= 64, new.byName[name] == nil else {
                throw .malformed(path: file, reason: "its metadata has no name of 1 to 64 bytes, or one that another file has")
            }
            var roles: Set<Role> = []
            for word in (certificate.metadata["roles"] ?? "").split(whereSeparator: { $0 == "," || $0 == " " }) {
                guard let role = Role(rawValue: String(word)) else {
                    throw .malformed(
                        path: file, reason: "\(word) is not a role; there are \(Role.allCases.map(\.rawValue).joined(separator: ", "))")
                }
                roles.insert(role)
            }
            let identity = Identity(name: name, roles: roles)
            new.byKey[certificate.publicKey] = identity
            new.byName[name] = identity
            new.byUserID[Self.userID(certificate.publicKey, name)] = identity
        }
        let loaded = new
        state.withLock { $0 = loaded }
    }

    /// The identity of the holder of `key`; nil for a stranger.
    package func identity(of key: CurveKey) -> Identity? { state.withLock { $0.byKey[key] } }

    /// What all messages of the holder of `key` carry: the name, and which key it was, so that a key that another has replaced is out; nil for
    /// a stranger.
    package func userID(of key: CurveKey) -> String? { identity(of: key).map { Self.userID(key, $0.name) } }

    private static func userID(_ key: CurveKey, _ name: String) -> String { "\(name) \(key.text)" }

    /// The identity by its user id; nil once its key is revoked or replaced.
    package func identity(userID: String) -> Identity? { state.withLock { $0.byUserID[userID] } }

    /// All of them, by name.
    package var identities: [(key: CurveKey, identity: Identity)] {
        state.withLock { $0.byKey.map { ($0.key, $0.value) } }.sorted { $0.1.name < $1.1.name }
    }
}
