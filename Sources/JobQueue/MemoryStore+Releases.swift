/// Releases in memory, and the rules that the file store is compared with.
extension MemoryStore {
    struct Releases {
        var sequence: UInt64 = 0
        var slots: [String: ReleaseSlot] = [:]
        var rows: [String: [StoredRelease]] = [:]
        var contents: [[UInt8]: [UInt8]] = [:]
        var classSets: [String: ClassSetRow] = [:]
    }

    package func releaseSlots(in partition: PartitionID) async throws -> ReleaseSlots {
        withReleases(partition) { releases in
            var found = ReleaseSlots()
            found.sequence = releases.sequence
            found.slots = releases.slots.values.sorted { $0.classSet < $1.classSet }
            found.releases = found.slots.flatMap { slot in
                (releases.rows[slot.classSet] ?? []).filter { [slot.live, slot.shadow].contains($0.version) }.map(releases.marked)
            }
            return found
        }
    }

    package func commit(_ change: ReleaseChange, epoch: Epoch, in partition: PartitionID) async throws -> CommittedRelease {
        try fence(epoch, partition)
        return try withReleases(partition) { releases in
            let name = change.classSet
            var old = releases.slots[name]
            switch change {
            case .publish, .putClassSet:
                if old == nil, releases.slots.count >= ReleaseLimits.classSets {
                    throw ReleaseRefusal.tooMany(limit: ReleaseLimits.classSets)
                }
                old = old ?? ReleaseSlot(classSet: name)
            default: break
            }
            guard let slot = try old?.applying(change) else { throw ReleaseRefusal.unknown }
            switch change {
            case .publish(let release, let content, let classSet):
                guard content != nil || releases.contents[release.contentSHA256] != nil else { throw ReleaseRefusal.contentGone }
                if let content { releases.contents[release.contentSHA256] = content }
                releases.rows[name, default: []].append(release)
                if !release.isShadow { releases.classSets[name] = classSet }
            case .putClassSet(let row): releases.classSets[name] = row
            default: break
            }
            releases.slots[name] = slot
            releases.prune()
            releases.sequence += 1
            return CommittedRelease(sequence: releases.sequence, slot: slot)
        }
    }

    package func releases(of classSet: String, before: UInt64, limit: Int, in partition: PartitionID) async throws -> [StoredRelease] {
        withReleases(partition) { releases in
            (releases.rows[classSet] ?? []).filter { $0.version < before }.reversed().prefix(max(limit, 0)).map(releases.marked)
        }
    }

    package func releaseContent(_ sha256: [UInt8], in partition: PartitionID) async throws -> [UInt8]? {
        withReleases(partition) { $0.contents[sha256] }
    }

    package func classSetText(named name: String, in partition: PartitionID) async throws -> String? {
        withReleases(partition) { $0.classSets[name]?.text }
    }
}

extension MemoryStore.Releases {
    /// With the truth about its content.
    fileprivate func marked(_ row: StoredRelease) -> StoredRelease {
        var row = row
        row.hasContent = contents[row.contentSHA256] != nil
        return row
    }

    fileprivate mutating func prune() {
        var kept: Set<[UInt8]> = []
        for (name, rows) in rows {
            let needed = slots[name]?.needed ?? []
            for (index, row) in rows.reversed().enumerated() where index < ReleaseLimits.contents || needed.contains(row.version) {
                kept.insert(row.contentSHA256)
            }
        }
        contents = contents.filter { kept.contains($0.key) }
    }
}
