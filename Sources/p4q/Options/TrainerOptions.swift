import ArgumentParser
import Foundation
import Services
import Training
import Tuning

/// When a candidate may take the place of the release in service.
struct GateOptions: ParsableArguments {
    private static let defaults = GateRules()

    @Option(name: .long, help: "How often a candidate that is no better may be published, at most.")
    var gateLevel = Self.defaults.level

    @Option(name: .long, help: "What a class may lose, as a share of its held-out examples.")
    var gateClassLoss = Self.defaults.classLoss

    @Option(name: .long, help: "A class's larger loss counts if it is not chance at this level; 1: it always counts.")
    var gateClassLevel = Self.defaults.classLevel

    @Option(name: .long, help: "What the expected calibration error may grow by.")
    var gateCalibrationLoss = Self.defaults.calibrationLoss

    @Option(name: .long, help: "Held-out examples that a decision needs.")
    var gateExamples = Self.defaults.minimumExamples

    func validate() throws {
        if !(gateLevel > 0 && gateLevel <= 1) { throw ValidationError("--gate-level lies between 0 and 1") }
        if !(gateClassLoss >= 0 && gateClassLevel >= 0 && gateCalibrationLoss >= 0) {
            throw ValidationError("gate rules can't be negative")
        }
        if gateExamples < 1 { throw ValidationError("--gate-examples must be at least 1") }
    }

    var rules: GateRules {
        var rules = GateRules()
        rules.level = gateLevel
        rules.classLoss = gateClassLoss
        rules.classLevel = gateClassLevel
        rules.calibrationLoss = gateCalibrationLoss
        rules.minimumExamples = gateExamples
        return rules
    }
}

/// What a trainer keeps.
struct StoreOptions: ParsableArguments {
    private static let defaults = ExampleStore.Options()

    @Option(name: .long, help: "The trainer's folder.", completion: .directory)
    var store = "p4q-trainer"

    @Option(name: .long, help: "Examples to learn from that each class keeps.")
    var perClass = Self.defaults.perClass

    @Option(name: .long, help: "Held-out examples that each class keeps.")
    var heldOutPerClass = Self.defaults.heldOutPerClass

    @Option(name: .long, help: "The share of examples that is held out; fixed when the folder is made.")
    var heldOutShare = Self.defaults.heldOutShare

    @Flag(name: .long, help: "Keep the images too, for thumbnails in reports.")
    var keepImages = false

    func validate() throws {
        if perClass < 1 || heldOutPerClass < 1 { throw ValidationError("--per-class and --held-out-per-class must be at least 1") }
        if !(heldOutShare > 0 && heldOutShare < 1) { throw ValidationError("--held-out-share lies between 0 and 1") }
    }

    var options: ExampleStore.Options {
        var options = ExampleStore.Options()
        options.perClass = perClass
        options.heldOutPerClass = heldOutPerClass
        options.heldOutShare = heldOutShare
        options.keepsImages = keepImages
        return options
    }
}

/// When a trainer retrains.
struct ScheduleOptions: ParsableArguments {
    @Option(name: .long, help: "Retrain after so many new examples.")
    var after: Int?

    @Option(name: .long, help: "Retrain so many minutes after the last time, if there is something new.")
    var every: Int?

    @Option(name: .long, help: "Retrain at these times, as cron writes them: \"0 3 * * *\" is 3 o'clock each night.")
    var cron: String?

    func validate() throws {
        if let after, after < 1 { throw ValidationError("--after must be at least 1") }
        if let every, every < 1 { throw ValidationError("--every must be at least 1") }
        if let cron, CronExpression(cron) == nil { throw ValidationError("--cron \"\(cron)\" is not minute hour day month weekday") }
    }

    /// Whether it retrains only when it is asked to.
    var isEmpty: Bool { after == nil && every == nil && cron == nil }

    var schedule: RetrainingSchedule {
        RetrainingSchedule(afterExamples: after, interval: every.map { .seconds($0 * 60) }, cron: cron.flatMap { CronExpression($0) })
    }
}

/// When a release in shadow takes the live one's place, or is dropped.
struct ShadowOptions: ParsableArguments {
    private static let defaults = ShadowRules()

    @Option(
        name: .long, help: "Images that workers must have scored with a shadow release, all together, before it is promoted or dropped.")
    var shadowImages = Self.defaults.images

    @Option(name: .long, help: "A shadow release that gives the live one's answer for a smaller share is dropped.")
    var shadowAgreement = Self.defaults.agreement

    @Option(name: .long, help: "New labels that a shadow release is measured on, where labels come at all.")
    var shadowLabels = Self.defaults.labels

    func validate() throws {
        if shadowImages < 1 || shadowLabels < 1 { throw ValidationError("--shadow-images and --shadow-labels must be at least 1") }
        if !(shadowAgreement >= 0 && shadowAgreement <= 1) { throw ValidationError("--shadow-agreement lies between 0 and 1") }
    }

    var rules: ShadowRules {
        var rules = ShadowRules()
        rules.images = shadowImages
        rules.agreement = shadowAgreement
        rules.labels = shadowLabels
        return rules
    }
}
