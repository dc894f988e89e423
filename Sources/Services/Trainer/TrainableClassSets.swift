package import CLIP
internal import Messages
internal import Tuning

/// The class sets that a trainer keeps examples for, and what a labelled job means in them.
package struct TrainableClassSets: Sendable {
    /// The first one is what jobs mean that name none.
    package let sets: [ClassSet]
    private let labels: [ClassLabels]

    /// - Precondition: there is at least one, and their names differ.
    package init(_ sets: [ClassSet]) {
        precondition(!sets.isEmpty, "a trainer has a class set")
        self.sets = sets
        labels = sets.map { ClassLabels($0) }
    }

    /// The class set of a job.
    func classSet(_ job: Job) throws(Failure) -> ClassSet { sets[try place(job)] }

    /// The display name of the class that a job's label means.
    func label(_ job: Job) throws(Failure) -> String {
        let place = try place(job)
        guard let label = job.label else {
            throw Self.failure("label.missing", "\(job.id) has no label; the service train takes labelled images only")
        }
        guard let index = labels[place].index(of: label) else {
            throw Self.failure("label.unknown", "\(job.id) is labelled \"\(label)\", which is no class of \(sets[place].name)")
        }
        return sets[place].classes[index].name
    }

    private func place(_ job: Job) throws(Failure) -> Int {
        switch job.classes {
        case nil: return 0
        case .inline?:
            throw Self.failure("class_set.inline", "a trainer keeps examples of class sets that have a name; give the job one")
        case .named(let name, let sha256)?:
            guard let place = sets.firstIndex(where: { $0.name == name }) else {
                let names = sets.map(\.name).joined(separator: ", ")
                throw Self.failure("class_set.unknown", "this trainer has no class set \"\(name)\"; it has: \(names)")
            }
            if let sha256 = sha256?.description, sha256 != sets[place].sha256 {
                throw Self.failure(
                    "class_set.version",
                    "the job asks for \"\(name)\" \(sha256.prefix(12)), this trainer has \(sets[place].sha256.prefix(12))")
            }
            return place
        }
    }

    private static func failure(_ code: String, _ message: String) -> Failure {
        Failure(code: code, stage: .classSet, message: message, retryable: false)
    }
}
