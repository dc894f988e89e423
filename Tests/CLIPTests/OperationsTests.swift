import CLIP
import Testing

@Suite struct OperationsTests {
    /// Source: the method's section 7: ViT-B/32 takes 8.82 GOP an image, 5.96 a prompt of 77 tokens.
    @Test func `ViT-B 32 takes the operations that the method states`() {
        let configuration = CLIPConfiguration(
            vision: TowerConfiguration(width: 768, depth: 12, heads: 12, mlpWidth: 3072, activation: .quickGELU), imageSide: 224,
            patchSize: 32, text: TowerConfiguration(width: 512, depth: 12, heads: 8, mlpWidth: 2048, activation: .quickGELU),
            vocabularySize: 49408, contextLength: 77, projectionWidth: 512)
        #expect((configuration.operationsPerImage + 5_000_000) / 10_000_000 == 882)
        #expect((configuration.operationsPerPrompt + 5_000_000) / 10_000_000 == 596)
    }
}
