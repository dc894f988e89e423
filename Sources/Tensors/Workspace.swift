internal import Synchronization

/// Scratch memory of one thread's pass through a tower: named slots that grow to the largest size asked for and then stay.
package final class Workspace {
    private var slots: [UnsafeMutableRawBufferPointer] = []

    package init() {}

    deinit { for slot in slots { slot.deallocate() } }

    /// Memory for `count` elements, 64-byte aligned, with undefined contents. It is void when the same slot is asked for again with a larger
    /// count, and when the workspace goes.
    package func buffer<Element: BitwiseCopyable>(_ slot: Int, of _: Element.Type, count: Int) -> UnsafeMutablePointer<Element> {
        let bytes = max(64, count * MemoryLayout<Element>.stride)
        while slots.count <= slot { slots.append(UnsafeMutableRawBufferPointer(start: nil, count: 0)) }
        if slots[slot].count < bytes {
            slots[slot].deallocate()
            slots[slot] = .allocate(byteCount: (bytes + 4095) / 4096 * 4096, alignment: 64)
        }
        // The slot is at least `count` elements long, aligned for any of them, and holds trivial values only.
        return slots[slot].baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: Element.self)
    }

    /// Bytes held.
    package var byteCount: Int { slots.reduce(0) { $0 + $1.count } }
}

/// Workspaces that wait for their next use: as many as have ever been needed at once.
package final class WorkspaceCache: Sendable {
    private struct Idle: @unchecked Sendable {
        // Safe: a workspace in this list is used by nobody.
        var list: [Workspace] = []
    }

    private let idle = Mutex(Idle())

    package init() {}

    /// Lends a workspace that nobody else uses until `body` returns.
    package func withWorkspace<R>(_ body: (Workspace) throws -> R) rethrows -> R {
        let taken = idle.withLock { idle -> Idle in
            var taken = Idle()
            if let last = idle.list.popLast() { taken.list.append(last) }
            return taken
        }
        let workspace = taken.list.first ?? Workspace()
        nonisolated(unsafe) let returned = workspace
        defer { idle.withLock { $0.list.append(returned) } }
        return try body(workspace)
    }
}
