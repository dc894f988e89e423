import Foundation
import Quantization
import TestSupport
import Testing

@Suite(.enabled(if: SharedFolder.isPresent, "\(SharedFolder.skipReason)"))
struct CalibrationReferenceTests {
    @Test(arguments: ["tiny", "cifar"]) func `99 of 100 points have the reference's scale within 1e-4 and its zero point`(name: String)
        throws
    {
        let model = try SimulatedModel(name)
        let calibration = try model.calibrate()
        var equal: [String: (close: Int, all: Int)] = [:]
        for row in model.points.points {
            let widths = row.widths.split(separator: "-").compactMap { Int($0) }
            let isAttention = [".q", ".k", ".v", ".probs"].contains { row.point.hasSuffix($0) }
            let observer = try #require(Observer(rawValue: row.observer))
            let found = try #require(calibration.quantizer(row.point, observer, bits: isAttention ? widths[2] : widths[1]))
            let isClose = abs(found.scale - row.scale) <= 1e-4 * row.scale && found.zeroPoint == row.zero_point
            let count = equal[row.observer] ?? (0, 0)
            equal[row.observer] = (count.close + (isClose ? 1 : 0), count.all + 1)
        }
        let close = equal.values.reduce(0) { $0 + $1.close }
        let all = equal.values.reduce(0) { $0 + $1.all }
        print("\(name): \(close) of \(all) points agree: \(equal)")
        #expect(all > 0 && Double(close) >= 0.99 * Double(all))
    }

    @Test func `calibration is the same every time`() throws {
        let model = try SimulatedModel("tiny")
        let (first, second) = (try model.calibrate(), try model.calibrate())
        #expect(!first.points.isEmpty)
        for name in first.points.keys {
            for observer in Observer.allCases {
                #expect(first.quantizer(name, observer, bits: 8) == second.quantizer(name, observer, bits: 8))
            }
        }
    }
}
