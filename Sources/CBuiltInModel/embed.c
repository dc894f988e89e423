// Files are found through the target's header search path. A compiler does not see that they change, so deploy/remake-model writes their
// digest here, which makes it compile this again:
// model sha256: ad5d72bf9c70a07f9994835d814e4bfbfa00158ccc6996e925bd3ea72b55599a
#include "p4q_builtin_model.h"

#define EMBED(SYMBOL, PATH)                                                                                               \
    __asm__(".pushsection .rodata\n.balign 64\n" #SYMBOL "_start:\n.incbin \"" PATH "\"\n" #SYMBOL "_end:\n.byte 0\n.popsection\n"); \
    extern const uint8_t SYMBOL##_start[], SYMBOL##_end[];

EMBED(p4q_builtin_config, "builtin/config.json")
EMBED(p4q_builtin_weights, "builtin/model.safetensors")
EMBED(p4q_builtin_vocabulary, "builtin/vocab.json")
EMBED(p4q_builtin_merges, "builtin/merges.txt")
EMBED(p4q_builtin_preprocessor, "builtin/preprocessor_config.json")
EMBED(p4q_builtin8_config, "builtin-8/config.json")
EMBED(p4q_builtin8_weights, "builtin-8/model.safetensors")
EMBED(p4q_builtin8_manifest, "builtin-8/manifest.json")

#define GIVE(FOLDER, NAME, SYMBOL) \
    if (index-- == 0) return (p4q_builtin_file){FOLDER, NAME, SYMBOL##_start, (size_t)(SYMBOL##_end - SYMBOL##_start)};

p4q_builtin_file p4q_builtin_file_at(size_t index) {
    GIVE("builtin", "config.json", p4q_builtin_config)
    GIVE("builtin", "model.safetensors", p4q_builtin_weights)
    GIVE("builtin", "vocab.json", p4q_builtin_vocabulary)
    GIVE("builtin", "merges.txt", p4q_builtin_merges)
    GIVE("builtin", "preprocessor_config.json", p4q_builtin_preprocessor)
    GIVE("builtin-8", "config.json", p4q_builtin8_config)
    GIVE("builtin-8", "model.safetensors", p4q_builtin8_weights)
    GIVE("builtin-8", "manifest.json", p4q_builtin8_manifest)
    // The tokenizer and the preprocessing are the same.
    GIVE("builtin-8", "vocab.json", p4q_builtin_vocabulary)
    GIVE("builtin-8", "merges.txt", p4q_builtin_merges)
    GIVE("builtin-8", "preprocessor_config.json", p4q_builtin_preprocessor)
    return (p4q_builtin_file){0};
}
