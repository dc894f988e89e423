import ArgumentParser

extension ConfigurationFile {
    /// Tries every value as its command would. Throws what is wrong.
    func check(_ catalog: CommandCatalog) throws(ConfigurationError) {
        var problems: [Problem] = []
        for (section, entries) in sections.sorted(by: { $0.key < $1.key }) where section != Self.common {
            problems += check(section, entries, catalog.commands[section] ?? [])
        }
        for (name, entry) in (sections[Self.common] ?? [:]).sorted(by: { $0.key < $1.key }) {
            // The first command that knows it speaks for all.
            let command = catalog.commands.sorted { $0.key < $1.key }.first { command in
                command.value.contains { $0.name == name } && Self.refusal([command.key], [:], command.value) == nil
            }
            guard let command, let refusal = Self.refusal([command.key], [name: entry], command.value) else { continue }
            problems.append(problem("\(Self.common).\(name)", entry, refusal))
        }
        if !problems.isEmpty { throw ConfigurationError(problems: problems) }
    }

    private func check(_ section: String, _ entries: [String: Entry], _ options: [CommandCatalog.Option]) -> [Problem] {
        // A command that needs more than options can't be tried by them alone.
        guard Self.refusal([section], [:], options) == nil else { return [] }
        var problems: [Problem] = []
        var good = entries
        for (name, entry) in entries.sorted(by: { $0.value.line < $1.value.line }) {
            guard let refusal = Self.refusal([section], [name: entry], options) else { continue }
            // What goes together is refused alone, and not with the others.
            if Self.refusal([section], good, options) == nil { break }
            let others = good.filter { $0.key != name }
            if Self.refusal([section], others, options) == Self.refusal([section], good, options) { continue }
            problems.append(problem("\(section).\(name)", entry, refusal))
            good = others
        }
        if problems.isEmpty, let refusal = Self.refusal([section], good, options) {
            let first = good.values.map(\.line).min()
            problems.append(Problem(path: path, line: first, reason: .wrongValue(section, reason: refusal)))
        }
        return problems
    }

    private func problem(_ key: String, _ entry: Entry, _ refusal: String) -> Problem {
        Problem(path: path, line: entry.line, reason: .wrongValue(key, reason: refusal))
    }

    /// What the command says to these options; nil if it takes them.
    private static func refusal(_ command: [String], _ entries: [String: Entry], _ options: [CommandCatalog.Option]) -> String? {
        var arguments = command.flatMap { $0.split(separator: " ").map(String.init) }
        for option in options { arguments += OptionSources.arguments(option, entries[option.name]?.values ?? []) }
        do {
            _ = try P4Q.parseAsRoot(arguments)
            return nil
        } catch {
            return P4Q.message(for: error)
        }
    }
}
