import Tensors
import Testing

@Suite struct InstructionSetTests {
    @Test func `the scalar twin runs everywhere and the best set is supported`() {
        #expect(InstructionSet.scalar.isSupported)
        #expect(InstructionSet.best.isSupported)
    }
}
