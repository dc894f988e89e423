import Quantization
import Testing

struct CalibrationDrawTests {
    @Test func `the generator is MT19937`() {
        // The published check: the first and the ten thousandth number of seed 5489.
        var generator = MersenneTwister(seed: 5489)
        #expect(generator.next() == 3_499_211_612)
        for _ in 2..<10_000 { _ = generator.next() }
        #expect(generator.next() == 4_123_659_995)
    }

    @Test func `places are a permutation's beginning, decided by the seed`() {
        let all = CalibrationDraw.places(count: 100, samples: 100, seed: 3)
        #expect(all.sorted() == Array(0..<100) && all != Array(0..<100))
        #expect(CalibrationDraw.places(count: 100, samples: 7, seed: 3) == Array(all.prefix(7)))
        #expect(CalibrationDraw.places(count: 100, samples: 7, seed: 4) != Array(all.prefix(7)))
        // torch.randperm(10, generator=torch.Generator().manual_seed(0))
        #expect(CalibrationDraw.places(count: 10, samples: 10, seed: 0) == [4, 1, 7, 5, 3, 9, 0, 8, 6, 2])
    }

    @Test(arguments: [(0, 5, 0), (1, 5, 1), (2, 5, 2), (5, 1, 1)]) func `there are no more places than images`(
        count: Int, samples: Int, expected: Int
    ) {
        #expect(CalibrationDraw.places(count: count, samples: samples, seed: 0).count == expected)
    }
}
