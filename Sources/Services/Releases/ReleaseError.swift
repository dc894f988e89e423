/// Why a release is not published, not found or not taken.
package enum ReleaseError: Error, Hashable, Sendable {
    /// Another release is live than the one this was compared with.
    case conflict(classSet: String, expected: UInt64, live: UInt64)
    /// The class set is held at a version.
    case pinned(classSet: String, version: UInt64)
    case unknown(classSet: String, version: UInt64)
    /// No release was ever published for it.
    case noReleases(classSet: String)
    /// None is live.
    case noLive(classSet: String)
    /// None was live before the one that is.
    case noEarlier(classSet: String)
    /// Its content is no longer kept.
    case gone(classSet: String, version: UInt64)
    /// The bytes are not those of the manifest.
    case wrongContent(String, reason: String)
    /// Nobody who is trusted has signed it.
    case untrusted(String, key: String)
    case badSignature(String)
    /// It is not newer than what is in place.
    case older(String, found: UInt64, inPlace: UInt64)
    /// It is for another model or other bit widths.
    case wrongModel(String, reason: String)
    case wrongClassSet(String, reason: String)
    /// The content can't be used.
    case invalid(String, reason: String)
    /// This worker does not compute what the release's maker computed.
    case goldens(String, reason: String)
    /// The dispatcher refused.
    case refused(code: String, message: String)
    /// The dispatcher, or its message, can't be used.
    case dispatcher(reason: String)

    /// Stable and for programs.
    package var code: String {
        switch self {
        case .conflict: "release.conflict"
        case .pinned: "release.pinned"
        case .unknown, .noReleases, .noLive, .noEarlier: "release.unknown"
        case .gone: "release.gone"
        case .wrongContent: "release.content"
        case .untrusted: "release.untrusted"
        case .badSignature: "release.signature"
        case .older: "release.older"
        case .wrongModel: "release.model"
        case .wrongClassSet: "release.class_set"
        case .invalid: "release.invalid"
        case .goldens: "release.goldens"
        case .refused(let code, _): code
        case .dispatcher: "release.dispatcher"
        }
    }
}

extension ReleaseError {
    /// Whether it says nothing about the release: the same may succeed later.
    package var isTemporary: Bool {
        switch self {
        case .dispatcher: true
        case .refused(let code, _): ["release.busy", "release.failed"].contains(code) || code.hasPrefix("journal.")
        default: false
        }
    }
}

extension ReleaseError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .conflict(let set, let expected, let live):
            "\(set): version \(live) is live, this was made to follow \(expected); compare it with \(live) and publish again"
        case .pinned(let set, let version): "\(set) is pinned at version \(version); p4q releases unpin \(set) lets others in"
        case .unknown(let set, let version): "\(set) has no release \(version); p4q releases list shows what there is"
        case .noReleases(let set): "\(set) has no release; p4q releases list shows the class sets that have some"
        case .noLive(let set): "\(set) has no live release; name a version that p4q releases list \(set) shows"
        case .noEarlier(let set):
            "\(set) has no release before the live one to go back to; p4q releases list \(set) shows what there is, --to takes any of it"
        case .gone(let set, let version): "the content of \(set) \(version) is no longer kept; publish its file again"
        case .wrongContent(let name, let reason): "\(name): \(reason); it was damaged on its way or on the dispatcher's disk"
        case .untrusted(let name, let key): "\(name) is signed by \(key), whom nobody trusts here; give its public key with --trust"
        case .badSignature(let name): "\(name): the signature is not that of its manifest"
        case .older(let name, let found, let inPlace): "\(name): version \(found) is not newer than \(inPlace), which is in place"
        case .wrongModel(let name, let reason), .wrongClassSet(let name, let reason), .invalid(let name, let reason),
            .goldens(let name, let reason):
            "\(name): \(reason)"
        case .refused(_, let message): message
        case .dispatcher(let reason): "the dispatcher's releases can't be used: \(reason)"
        }
    }
}

extension ReleaseError {
    /// Why a worker may refuse a release.
    static let refusalCodes = ["content", "untrusted", "signature", "older", "model", "class_set", "invalid", "goldens"].map {
        "release.\($0)"
    }
}
