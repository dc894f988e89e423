package import Tensors

/// A dense layer's float parameters: `y = x * weight^T + bias`.
package struct Dense: Sendable {
    /// [outputs, inputs]
    package let weight: FloatTensor
    /// [outputs]
    package let bias: FloatTensor

    package var outputs: Int { weight.shape[0] }
    package var inputs: Int { weight.shape[1] }
}

/// LayerNorm's parameters, [width] each.
package struct LayerNorm: Sendable {
    package let gamma: FloatTensor
    package let beta: FloatTensor

    package init(gamma: FloatTensor, beta: FloatTensor) {
        self.gamma = gamma
        self.beta = beta
    }
}

/// One pre-norm transformer block: `h += out(attention(ln1(h)))`, `h += fc2(activation(fc1(ln2(h))))`.
package struct TransformerBlock: Sendable {
    package let norm1: LayerNorm
    package let query: Dense
    package let key: Dense
    package let value: Dense
    package let output: Dense
    package let norm2: LayerNorm
    package let dense1: Dense
    package let dense2: Dense
}

extension Checkpoint {
    func dense(_ name: String) -> Dense { Dense(weight: self[name + ".weight"], bias: self[name + ".bias"]) }
    func layerNorm(_ name: String) -> LayerNorm { LayerNorm(gamma: self[name + ".weight"], beta: self[name + ".bias"]) }

    /// The blocks of `vision_model` or `text_model`, in order.
    func blocks(_ tower: String, depth: Int) -> [TransformerBlock] {
        (0..<depth).map { index in
            let block = "\(tower).encoder.layers.\(index)"
            return TransformerBlock(
                norm1: layerNorm(block + ".layer_norm1"), query: dense(block + ".self_attn.q_proj"),
                key: dense(block + ".self_attn.k_proj"),
                value: dense(block + ".self_attn.v_proj"), output: dense(block + ".self_attn.out_proj"),
                norm2: layerNorm(block + ".layer_norm2"), dense1: dense(block + ".mlp.fc1"), dense2: dense(block + ".mlp.fc2"))
        }
    }
}
