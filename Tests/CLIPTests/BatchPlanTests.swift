import CLIP
import Testing

@Suite struct BatchPlanTests {
    private func sizes(_ plan: BatchPlan) -> (items: [Int], operations: [Int]) {
        switch plan {
        case .items(let runs): (runs.map(\.count), [])
        case .operations(let runs): ([], runs.map(\.count))
        }
    }

    @Test func `every item is in one run, in order, none above the limit`() {
        for threads in 1...5 {
            for count in 0...130 {
                let plan = BatchPlan.forItems(count, threads: threads, limit: 8)
                guard case .items(let runs) = plan else { continue }
                #expect(runs.flatMap { Array($0) } == Array(0..<count), "\(count) items, \(threads) threads")
                #expect(runs.allSatisfy { $0.count <= 8 && !$0.isEmpty }, "\(count) items, \(threads) threads: \(runs)")
            }
        }
    }

    @Test func `threads get equal shares, in runs that shrink towards the end`() {
        #expect(sizes(.forItems(32, threads: 2, limit: 8)).items == [8, 8, 4, 4, 4, 4])
        #expect(sizes(.forItems(8, threads: 2, limit: 8)).items == [4, 4])
        #expect(sizes(.forItems(100, threads: 4, limit: 8)).items.suffix(8) == [4, 4, 4, 4, 5, 5, 5, 5])
        #expect(sizes(.forItems(20, threads: 1, limit: 8)).items == [6, 7, 7])
    }

    @Test func `too few items for the threads share every operation`() {
        #expect(sizes(.forItems(1, threads: 2, limit: 8)).operations == [1])
        #expect(sizes(.forItems(7, threads: 2, limit: 8)).operations == [7])
    }
}
