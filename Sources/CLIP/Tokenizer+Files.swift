package import Foundation
internal import Tensors

extension Tokenizer {
    /// Loads whichever a folder has: `tokenizer.json` (which transformers prefers too), `vocab.json` with `merges.txt`, or OpenAI's
    /// `bpe_simple_vocab_16e6.txt.gz`.
    package static func load(_ folder: URL) throws(CLIPError) -> Tokenizer {
        func file(_ name: String) -> URL? {
            let url = folder.appendingPathComponent(name)
            return FileManager.default.fileExists(atPath: url.path) ? url : nil
        }
        if let json = file("tokenizer.json") { return Tokenizer(vocabulary: try TokenizerVocabulary(tokenizerJSON: json)) }
        if let vocabulary = file("vocab.json"), let merges = file("merges.txt") {
            return Tokenizer(vocabulary: try TokenizerVocabulary(vocabulary: vocabulary, merges: merges))
        }
        if let archive = file("bpe_simple_vocab_16e6.txt.gz") { return Tokenizer(vocabulary: try TokenizerVocabulary(openAI: archive)) }
        throw .missingFile(folder: folder.path, wanted: "vocab.json with merges.txt, tokenizer.json or bpe_simple_vocab_16e6.txt.gz")
    }
}

extension Tokenizer {
    /// The same, for a model's text tower.
    ///
    /// - Throws: also `tokenizer` if it has tokens that the tower has no embedding for.
    package static func load(_ folder: URL, for configuration: CLIPConfiguration) throws(CLIPError) -> Tokenizer {
        let tokenizer = try load(folder)
        guard tokenizer.vocabularySize <= configuration.vocabularySize else {
            throw .tokenizer(
                file: folder.path,
                reason: "it has \(tokenizer.vocabularySize) tokens and the model knows \(configuration.vocabularySize): "
                    + "it is another model's; give the one that this model was trained with")
        }
        return tokenizer
    }
}

extension TokenizerVocabulary {
    /// The largest published ones have 4 MB.
    private static let fileLimit = 32 << 20

    init(vocabulary: URL, merges: URL) throws(CLIPError) {
        let fields = try ConfigurationFields(vocabulary, limit: Self.fileLimit, limits: .vocabulary)
        let ids = try Self.ids(fields.members, file: vocabulary.path)
        try self.init(ids: ids, merges: Self.pairs(Self.text(of: merges), file: merges.path), file: vocabulary.path)
    }

    init(tokenizerJSON url: URL) throws(CLIPError) {
        let fields = try ConfigurationFields(url, limit: Self.fileLimit, limits: .vocabulary)
        guard let model = try fields.fields("model"), let vocabulary = try model.fields("vocab"), let merges = model.value("merges")?.array
        else {
            throw .tokenizer(file: url.path, reason: "it has no model with a vocabulary and merges")
        }
        if let kind = try model.text("type"), kind != "BPE" {
            throw .tokenizer(file: url.path, reason: "its model is \(kind.prefix(40)), not BPE")
        }
        guard try model.text("end_of_word_suffix") == Self.endOfWord else {
            throw .tokenizer(file: url.path, reason: "its words don't end in \(Self.endOfWord)")
        }
        var pairs: [(Substring, Substring)] = []
        pairs.reserveCapacity(merges.count)
        for merge in merges {
            // "a b" in older files, ["a", "b"] in newer ones.
            let parts =
                merge.string?.split(separator: " ", omittingEmptySubsequences: false) ?? merge.array?.compactMap { $0.string?[...] } ?? []
            guard parts.count == 2 else { throw .tokenizer(file: url.path, reason: "merge \(pairs.count + 1) is no pair") }
            pairs.append((parts[0], parts[1]))
        }
        let added = try Self.addedTokens(fields.value("added_tokens")?.array ?? [], file: url.path)
        var ids = try Self.ids(vocabulary.members, file: url.path)
        for token in added where ids[token.content] == nil { ids[token.content] = token.id }
        try self.init(ids: ids, merges: pairs, added: added, file: url.path)
    }

    /// OpenAI's own file: a line of version, then merges, of which the first 48,894 are used. The vocabulary follows from them.
    init(openAI url: URL) throws(CLIPError) {
        let mapped = try Self.map(url)
        let inflated = mapped.withUnsafeBytes { ZipInflate.gunzip($0, limit: Self.fileLimit) }
        guard let inflated, let text = String(validating: inflated, as: UTF8.self) else {
            throw .tokenizer(file: url.path, reason: "it is no gzip file of UTF-8 text, or larger than \(Self.fileLimit) bytes")
        }
        let used = 49_152 - 256 - 2
        let pairs = Array(try Self.pairs(text.split(separator: "\n").dropFirst().prefix(used), file: url.path))
        var tokens = ByteSymbols.vocabularyOrder
        tokens += tokens.map { $0 + Self.endOfWord }
        tokens += pairs.map { "\($0)\($1)" }
        tokens += [Self.start, Self.end]
        var ids: [String: Int32] = [:]
        for (id, token) in tokens.enumerated() { ids[token] = Int32(id) }
        try self.init(ids: ids, merges: pairs, file: url.path)
    }

    private static func map(_ url: URL) throws(CLIPError) -> MappedFile {
        let mapped: MappedFile
        do throws(TensorsError) {
            mapped = try MappedFile(url)
        } catch {
            throw .unreadable(error)
        }
        guard mapped.count <= fileLimit else { throw .fileTooLarge(file: url.path, bytes: mapped.count, limit: fileLimit) }
        return mapped
    }

    private static func text(of url: URL) throws(CLIPError) -> [Substring] {
        let text = try map(url).withUnsafeBytes { String(validating: $0, as: UTF8.self) }
        guard let text else { throw .tokenizer(file: url.path, reason: "it is not UTF-8") }
        return text.split(omittingEmptySubsequences: true) { $0.isNewline }
    }

    private static func ids(_ members: [String: JSONValue], file: String) throws(CLIPError) -> [String: Int32] {
        var ids: [String: Int32] = [:]
        ids.reserveCapacity(members.count)
        for (token, value) in members {
            guard let id = value.integer, id >= 0, id < sizeLimit else {
                throw .tokenizer(file: file, reason: "\"\(token.prefix(40))\" has no id below \(sizeLimit)")
            }
            ids[token] = Int32(id)
        }
        return ids
    }

    private static func pairs(_ lines: some Sequence<Substring>, file: String) throws(CLIPError) -> [(Substring, Substring)] {
        var pairs: [(Substring, Substring)] = []
        for line in lines where !line.hasPrefix("#version") {
            let parts = line.split(separator: " ", omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else {
                throw .tokenizer(file: file, reason: "\"\(line.prefix(40))\" is no pair of tokens")
            }
            pairs.append((parts[0], parts[1]))
        }
        return pairs
    }

    private static func addedTokens(_ values: [JSONValue], file: String) throws(CLIPError) -> [AddedToken] {
        var tokens: [AddedToken] = []
        for value in values {
            guard let fields = value.object, let content = fields["content"]?.string, !content.isEmpty, let id = fields["id"]?.integer,
                id >= 0,
                id < sizeLimit
            else { throw .tokenizer(file: file, reason: "added token \(tokens.count + 1) has no text or id") }
            for flag in ["single_word", "lstrip", "rstrip"] where fields[flag]?.bool == true {
                throw .tokenizer(file: file, reason: "added token \"\(content.prefix(40))\" asks for \(flag), which is not supported")
            }
            tokens.append(AddedToken(content: content, id: Int32(id), isNormalized: fields["normalized"]?.bool ?? false))
        }
        guard tokens.count <= 1_024 else { throw .tokenizer(file: file, reason: "it adds \(tokens.count) tokens to its vocabulary") }
        return tokens
    }
}
