/// The class set of everything that is drawn.
package enum DrawnClassSet {
    /// As `--class-set` reads it.
    package static var yaml: String {
        let classes = Kind.allCases.map { "  - \($0.rawValue)\n" }.joined()
        return "name: drawn-world\ntemplates: [\"a photo of a {}.\"]\ntop_k: 5\nclasses:\n\(classes)"
    }
}
