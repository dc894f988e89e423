/// Nothing of what was given is an image: a mistyped folder must not look like work that is done.
struct NoImages: Error, CustomStringConvertible {
    let inputs: [String]

    var description: String {
        let shown = inputs.prefix(3).map { $0 == "-" ? "the list on standard input" : $0 }.joined(separator: ", ")
        let more = inputs.count > 3 ? " and \(inputs.count - 3) more" : ""
        return "no PNG or JPEG in \(shown)\(more); of folders and archives, files that end in .png, .jpg or .jpeg are taken"
    }
}
