import Crypto
import Messages

enum Hashes {
    static func sha256(_ bytes: [UInt8]) -> Messages.Digest { Messages.Digest(bytes: Array(SHA256.hash(data: bytes))) ?? .zero }
}
