internal import JobQueue
internal import Messages

extension DispatcherStatus {
    /// Gives the same figures to Prometheus.
    package func publish(to metrics: inout FigurePublisher) {
        publishQueue(&metrics)
        publishOutcomes(&metrics)
        publishDispatcher(&metrics)
    }

    private func publishQueue(_ metrics: inout FigurePublisher) {
        for service in services {
            for level in service.levels {
                let labels = [("service", service.name), ("priority", "\(level.priority)")]
                metrics.gauge("p4q_queue_jobs", labels + [("state", "open")], level.open)
                metrics.gauge("p4q_queue_jobs", labels + [("state", "ready")], level.ready)
                metrics.gauge("p4q_queue_bytes", labels, level.bytes)
                metrics.gauge("p4q_queue_oldest_seconds", labels, level.oldestSeconds)
            }
            for mode in ["paused", "draining"] {
                metrics.gauge("p4q_queue_paused", [("service", service.name), ("mode", mode)], service.mode == mode ? 1 : 0)
            }
        }
        metrics.gauge("p4q_queue_in_flight", inFlight)
        metrics.counter("p4q_jobs_accepted_total", accepted)
        metrics.counter("p4q_jobs_duplicate_total", duplicates)
        metrics.counter("p4q_jobs_conflict_total", conflicts)
        metrics.counters("p4q_jobs_busy_total", by: "reason", busyReasons, all: BusyReason.allCases.map(\.rawValue))
        metrics.counters("p4q_jobs_invalid_total", by: "code", invalid, all: MessageError.codes)
        metrics.counters("p4q_jobs_rejected_total", by: "code", rejected)
        metrics.histogram("p4q_batch_jobs", batchJobs)
        metrics.histogram("p4q_wait_seconds", waitSeconds)
        metrics.histogram("p4q_work_seconds", workSeconds)
    }

    private func publishOutcomes(_ metrics: inout FigurePublisher) {
        let kinds = [OutcomeKind.scored, .rejected] + DeadReason.allCases.map { .dead($0) }
        metrics.counters("p4q_outcomes_total", by: "outcome", outcomes, all: kinds.map(\.name))
        for (reason, count) in failedAttempts {
            metrics.counter("p4q_redeliveries_total", [("reason", reason), ("cost", "attempt")], count)
        }
        for reason in ReturnReason.allCases {
            metrics.counter("p4q_redeliveries_total", [("reason", reason.rawValue), ("cost", "none")], returned[reason.rawValue] ?? 0)
        }
        metrics.counter("p4q_outcomes_delivered_total", delivered)
        metrics.counter("p4q_outcomes_redelivered_total", redelivered)
        metrics.counter("p4q_outcomes_acknowledged_total", acknowledged)
        for group in groups {
            metrics.counter("p4q_outcomes_expired_total", [("group", group.name)], group.expired)
            metrics.gauge("p4q_group_unread_outcomes", [("group", group.name)], group.unread)
            metrics.gauge("p4q_group_members", [("group", group.name)], group.members)
        }
        metrics.gauge("p4q_dead_letters", deadLetters)
        metrics.gauge("p4q_remembered_ids", rememberedIDs)
        metrics.gauge("p4q_deduplication_seconds", deduplicationSeconds)
    }

    private func publishDispatcher(_ metrics: inout FigurePublisher) {
        for state in Worker.State.allCases {
            metrics.gauge("p4q_workers", [("state", state.rawValue)], workers.count { $0.state == state })
        }
        metrics.gauge("p4q_journal_bytes", journalBytes)
        metrics.gauge("p4q_journal_free_bytes", freeBytes)
        metrics.gauge("p4q_journal_disk_low", isDiskLow ? 1 : 0)
        metrics.counter("p4q_journal_commits_total", commits)
        metrics.counter("p4q_journal_rows_total", rows)
        metrics.counter("p4q_journal_syncs_total", syncs)
        metrics.counters("p4q_refused_messages_total", by: "reason", refusals, all: Refusal.allCases.map(\.rawValue))
        metrics.counters("p4q_connections_total", by: "state", connections ?? [:])
        for release in releases { metrics.release(release.classSet, mode: release.mode, version: release.version, model: release.model) }
    }
}

extension FigurePublisher {
    /// A release in place.
    mutating func release(_ classSet: String, mode: String, version: UInt64, model: String) {
        gauge("p4q_release_version", [("class_set", classSet), ("mode", mode)], version)
        gauge(
            "p4q_release_info", [("class_set", classSet), ("mode", mode), ("version", "\(version)"), ("model", String(model.prefix(12)))],
            1)
    }
}

extension Dispatcher {
    /// What the dispatcher's HTTP port tells. It is ready when its sockets are bound, which they are, and the journal can be written.
    package func watchSource(_ metrics: ProcessMetrics) -> WatchPort.Source {
        WatchPort.Source(
            metrics: {
                let status = await core.status()
                let scoring = core.desk.scoring
                return metrics.text { metrics in
                    status.publish(to: &metrics)
                    metrics.shadows(scoring)
                }
            },
            obstacle: { await core.status().isDiskLow ? "the journal's disk is full" : nil },
            stats: { try await core.status().json() })
    }
}
