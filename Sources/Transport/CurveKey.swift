internal import CZeroMQ

/// A CURVE key, public or secret: 32 bytes, written as 40 characters of Z85 (ZeroMQ RFC 32).
package struct CurveKey: Hashable, Sendable {
    /// Always 32.
    package let bytes: [UInt8]

    package init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 32 else { return nil }
        self.bytes = Array(bytes)
    }

    /// Nil unless `text` is 40 characters of Z85.
    package init?(text: String) {
        guard text.utf8.count == 40, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
        var bytes = [UInt8](repeating: 0, count: 32)
        guard zmq_z85_decode(&bytes, text) != nil else { return nil }
        self.bytes = bytes
    }

    /// 40 characters of Z85.
    package var text: String {
        var buffer = [CChar](repeating: 0, count: 41)
        zmq_z85_encode(&buffer, bytes, bytes.count)
        return String(decoding: buffer.prefix(40).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// Both halves of an identity.
package struct CurveKeyPair: Hashable, Sendable {
    package let publicKey: CurveKey
    package let secretKey: CurveKey

    package init(publicKey: CurveKey, secretKey: CurveKey) {
        self.publicKey = publicKey
        self.secretKey = secretKey
    }

    /// A new pair from the system's random source. Throws: `setup` if libzmq was built without CURVE.
    package init() throws(TransportError) {
        var (publicText, secretText) = ([CChar](repeating: 0, count: 41), [CChar](repeating: 0, count: 41))
        guard zmq_curve_keypair(&publicText, &secretText) == 0 else { throw .setup("a CURVE key pair", errno: zmq_errno()) }
        guard let publicKey = CurveKey(cString: publicText), let secretKey = CurveKey(cString: secretText) else {
            throw .setup("a CURVE key pair", errno: 0)
        }
        self.init(publicKey: publicKey, secretKey: secretKey)
    }

    /// The pair of a secret key. Nil if there is no CURVE.
    package init?(secretKey: CurveKey) {
        var publicText = [CChar](repeating: 0, count: 41)
        guard zmq_curve_public(&publicText, secretKey.text) == 0, let key = CurveKey(cString: publicText) else { return nil }
        self.init(publicKey: key, secretKey: secretKey)
    }
}

extension CurveKey {
    fileprivate init?(cString: [CChar]) {
        self.init(text: String(decoding: cString.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }
}

extension CurveKeyPair: CustomStringConvertible {
    /// The public half only, so that no log gets the other.
    package var description: String { publicKey.text }
}
