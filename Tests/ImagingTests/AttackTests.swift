import Foundation
import Imaging
import TestSupport
import Testing

/// The budgets are part of what is promised: 250 ms of this thread's time (more on a core that others share, as `Cost.budget` measures it), and 64 MB
/// for attacks or 256 MB for ordinary files.
@Suite(.serialized) struct AttackTests {
    @Test func `attacks are refused, or decoded within 250 ms`() {
        for attack in Attack.all {
            var (cost, budget) = (Cost.least(of: attack.bytes()), 250.0)
            for _ in 0..<8 where cost.cpuMilliseconds > budget {
                usleep(200_000)
                (budget, cost) = (Cost.budget(), Cost.least(of: attack.bytes()))
            }
            #expect(cost.cpuMilliseconds <= budget, "\(attack.name): \(cost.outcome)")
        }
    }

    // In a process of its own, so that no other test's memory is counted.
    #if compiler(>=6.2) && os(Linux)
        @Test func `attacks take at most 64 MB`() async {
            await #expect(processExitsWith: .success) {
                var failed = false
                for attack in Attack.all {
                    let cost = Cost(of: attack.bytes())
                    if cost.kibibytes > 64 << 10 {
                        print("\(attack.name): \(cost.outcome), \(cost.cpuMilliseconds) ms, \(cost.kibibytes) KiB")
                    }
                    failed = failed || cost.kibibytes > 64 << 10
                }
                exit(failed ? EXIT_FAILURE : EXIT_SUCCESS)
            }
        }

        @Test(.enabled(if: SharedFolder.isPresent, "\(SharedFolder.skipReason)"))
        func `files of the corpus take at most 250 ms and 256 MB`() async {
            await #expect(processExitsWith: .success) {
                var failed = false
                let folder = try SharedFolder.file("data/corpus/files")
                for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
                    let cost = Cost.least(of: try Array(Data(contentsOf: folder.appendingPathComponent(name))))
                    if cost.cpuMilliseconds <= (cost.cpuMilliseconds <= 250 ? 250 : Cost.budget()) && cost.kibibytes <= 256 << 10 {
                        continue
                    }
                    print("\(name): \(cost.outcome), \(cost.cpuMilliseconds) ms, \(cost.kibibytes) KiB")
                    failed = true
                }
                exit(failed ? EXIT_FAILURE : EXIT_SUCCESS)
            }
        }
    #endif
}
