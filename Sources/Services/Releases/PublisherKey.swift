internal import Crypto
internal import Foundation
package import Messages
package import Transport

/// An Ed25519 key (RFC 8032) that releases are signed with; CURVE's keys can't sign.
///
/// Its files are like the others' (ZPL, the secret one 0600), with a section `ed25519` whose keys are 64 hexadecimal digits.
package struct PublisherKey: Sendable {
    package let name: String
    private let key: Curve25519.Signing.PrivateKey

    /// A new one.
    package init(name: String) {
        self.name = name
        key = Curve25519.Signing.PrivateKey()
    }

    /// Reads a secret key file; one that others may read is refused.
    package init(contentsOf path: String) throws(KeyFileError) {
        let (text, isExposed) = try KeyFile.read(path)
        let values = KeyFile.values(text)
        guard let digits = values["ed25519/secret-key"] else {
            throw .malformed(path: path, reason: "it has no secret-key under ed25519, as p4q keys new --role publisher makes it")
        }
        if isExposed { throw .exposed(path: path) }
        guard let bytes = [UInt8](hexadecimal: digits), let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: bytes) else {
            throw .malformed(path: path, reason: "its secret-key is not 64 hexadecimal digits")
        }
        self.key = key
        name = values["metadata/name"] ?? "publisher"
    }

    /// 32 bytes.
    package var publicKey: [UInt8] { Array(key.publicKey.rawRepresentation) }

    /// Writes `path`.key and `path`.key_secret, which must not exist.
    package func write(to path: String) throws(KeyFileError) {
        let metadata = "metadata\n    name = \"\(name)\"\n    roles = \"publisher\"\ned25519\n"
        let publicLine = "    public-key = \"\(publicKey.hexadecimal)\"\n"
        let secretLine = "    secret-key = \"\(Array(key.rawRepresentation).hexadecimal)\"\n"
        try KeyFile.write(
            "#   p4q **secret** publisher key\n#   Keep it to yourself.\n\n" + metadata + publicLine + secretLine, to: path + ".key_secret",
            isSecret: true)
        try KeyFile.write(
            "#   p4q public publisher key\n#   Hand it to workers (--trust).\n\n" + metadata + publicLine, to: path + ".key",
            isSecret: false)
    }

    /// Signs a manifest.
    package func sign(_ manifest: ReleaseManifest) throws -> SignedRelease {
        let bytes = try manifest.encode()
        let signature = try key.signature(for: SignedRelease.signedText(bytes))
        return SignedRelease(manifestBytes: bytes, publicKey: publicKey, signature: Array(signature))
    }
}

/// Whose releases a worker takes: public key files, or folders of them. They are read anew for each release, so that a file that is taken
/// away counts at once.
package struct TrustList: Sendable {
    private let paths: [String]

    /// Throws for a file that can't be used, or if there is no key at all.
    package init(_ paths: [String]) throws(KeyFileError) {
        self.paths = paths
        guard try !keys().isEmpty else {
            throw .malformed(path: paths.joined(separator: ", "), reason: "there is no publisher's key (ed25519) in it")
        }
    }

    /// The manifest, if its signature is good and its signer is on the list. Throws `ReleaseError`, `KeyFileError`, `MessageError`.
    package func verify(_ release: SignedRelease) throws -> ReleaseManifest {
        let claimed = (try? release.unverifiedManifest()).map { "\($0.classSet.name) \($0.version)" } ?? "a release"
        guard try keys().contains(release.publicKey) else {
            throw ReleaseError.untrusted(claimed, key: release.publicKey.hexadecimal)
        }
        guard release.isSignedByItsKey else { throw ReleaseError.badSignature(claimed) }
        return try release.unverifiedManifest()
    }

    private func keys() throws(KeyFileError) -> Set<[UInt8]> {
        var keys: Set<[UInt8]> = []
        for path in paths {
            var isFolder = ObjCBool(false)
            _ = FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
            for file in isFolder.boolValue ? try KeyFile.publicFiles(in: path) : [path] {
                // Folders may hold CURVE keys as well.
                guard let digits = KeyFile.values(try KeyFile.read(file).text)["ed25519/public-key"] else { continue }
                guard let bytes = [UInt8](hexadecimal: digits), bytes.count == 32 else {
                    throw .malformed(path: file, reason: "its public-key is not 64 hexadecimal digits")
                }
                keys.insert(bytes)
            }
        }
        return keys
    }
}

extension SignedRelease {
    /// Whether the signature is that of the key it comes with; says nothing about whose key that is.
    var isSignedByItsKey: Bool {
        guard let key = try? Curve25519.Signing.PublicKey(rawRepresentation: publicKey) else { return false }
        return key.isValidSignature(signature, for: Self.signedText(manifestBytes))
    }
}
