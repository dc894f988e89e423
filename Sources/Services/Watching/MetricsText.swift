internal import Foundation
package import JobQueue

/// Metrics in Prometheus' text format, version 0.0.4. Base units, and only labels whose values are few.
package struct MetricsText: Sendable {
    package private(set) var text = ""

    package init() {}

    /// Adds a counter, which only grows; its name ends in `_total`.
    package mutating func counter(_ name: String, _ help: String, _ samples: [(labels: [(String, String)], value: Double)]) {
        add(name, "counter", help, samples)
    }

    /// Adds a gauge.
    package mutating func gauge(_ name: String, _ help: String, _ samples: [(labels: [(String, String)], value: Double)]) {
        add(name, "gauge", help, samples)
    }

    /// Adds a gauge without labels.
    package mutating func gauge(_ name: String, _ help: String, _ value: some BinaryInteger) { gauge(name, help, [([], Double(value))]) }

    /// Adds a counter without labels.
    package mutating func counter(_ name: String, _ help: String, _ value: some BinaryInteger) {
        counter(name, help, [([], Double(value))])
    }

    /// Adds a histogram without labels.
    package mutating func histogram(_ name: String, _ help: String, _ values: Histogram) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) histogram\n"
        var below: UInt64 = 0
        for (bound, count) in zip(values.bounds, values.counts) {
            below += count
            text += "\(name)_bucket{le=\"\(Self.number(bound))\"} \(below)\n"
        }
        text += "\(name)_bucket{le=\"+Inf\"} \(values.count)\n\(name)_sum \(Self.number(values.sum))\n\(name)_count \(values.count)\n"
    }

    private mutating func add(_ name: String, _ kind: String, _ help: String, _ samples: [(labels: [(String, String)], value: Double)]) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind)\n"
        for sample in samples {
            let labels = sample.labels.map { "\($0)=\"\(Self.escaped($1))\"" }.joined(separator: ",")
            text += name + (labels.isEmpty ? "" : "{\(labels)}") + " " + Self.number(sample.value) + "\n"
        }
    }

    private static func number(_ value: Double) -> String {
        value == value.rounded(.towardZero) && abs(value) < 1e15 ? "\(Int64(value))" : "\(value)"
    }

    private static func escaped(_ value: String) -> String {
        value.replacingOccurrences(of: "\\", with: "\\\\").replacingOccurrences(of: "\"", with: "\\\"").replacingOccurrences(
            of: "\n", with: "\\n")
    }

    /// Adds what every process tells of itself.
    package mutating func addProcess(release: String) {
        gauge("p4q_info", "What runs here.", [([("version", release)], 1)])
        let page = Double(sysconf(Int32(_SC_PAGESIZE)))
        let statm =
            (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?.split(separator: " ").compactMap { Double($0) } ?? []
        if statm.count > 1 {
            gauge("process_virtual_memory_bytes", "Virtual memory.", [([], statm[0] * page)])
            gauge("process_resident_memory_bytes", "Resident memory.", [([], statm[1] * page)])
        }
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) * 1e-6 }
        counter("process_cpu_seconds_total", "User and system time.", [([], seconds(usage.ru_utime) + seconds(usage.ru_stime))])
        let descriptors = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd"))?.count ?? 0
        gauge("process_open_fds", "Open file descriptors.", descriptors)
    }
}

extension DispatcherStatus {
    /// The same for Prometheus.
    package var metrics: MetricsText {
        var metrics = MetricsText()
        metrics.gauge(
            "p4q_queue_jobs", "Open jobs.",
            services.flatMap { service in
                [
                    ([("service", service.name), ("state", "ready")], Double(service.ready)),
                    ([("service", service.name), ("state", "open")], Double(service.open)),
                ]
            })
        metrics.gauge("p4q_queue_bytes", "Bytes of open jobs.", services.map { ([("service", $0.name)], Double($0.bytes)) })
        metrics.gauge("p4q_queue_in_flight", "Jobs that are leased.", inFlight)
        metrics.counter("p4q_jobs_accepted_total", "Jobs that were accepted.", accepted)
        metrics.counter("p4q_jobs_duplicate_total", "Jobs that were known already.", duplicates)
        metrics.counter("p4q_jobs_conflict_total", "Jobs whose id was another job's.", conflicts)
        metrics.counter(
            "p4q_jobs_busy_total", "Jobs whose producers were told to wait, by the limit that was reached.",
            busyReasons.sorted { $0.key < $1.key }.map { ([("reason", $0.key)], Double($0.value)) })
        metrics.histogram("p4q_batch_jobs", "Jobs in a leased batch.", batchJobs)
        metrics.histogram("p4q_wait_seconds", "From acceptance to lease.", waitSeconds)
        metrics.histogram("p4q_work_seconds", "From lease to outcome.", workSeconds)
        metrics.counter(
            "p4q_outcomes_total", "Outcomes by kind.", outcomes.sorted { $0.key < $1.key }.map { ([("outcome", $0.key)], Double($0.value)) }
        )
        metrics.counter(
            "p4q_attempts_failed_total", "Attempts that failed, by reason.",
            failedAttempts.sorted { $0.key < $1.key }.map { ([("reason", $0.key)], Double($0.value)) })
        metrics.counter("p4q_outcomes_delivered_total", "Outcomes sent to sinks.", delivered)
        metrics.counter("p4q_outcomes_redelivered_total", "Outcomes sent again.", redelivered)
        metrics.counter("p4q_outcomes_acknowledged_total", "Acknowledgements of sinks.", acknowledged)
        metrics.gauge(
            "p4q_group_unread_outcomes", "Outcomes a group has not read.", groups.map { ([("group", $0.name)], Double($0.unread)) })
        metrics.gauge("p4q_group_members", "Sinks of a group.", groups.map { ([("group", $0.name)], Double($0.members)) })
        metrics.gauge(
            "p4q_workers", "Workers by state.",
            [
                ([("state", "busy")], Double(workers.count { $0.batches > 0 })),
                ([("state", "idle")], Double(workers.count { $0.batches == 0 })),
            ])
        metrics.gauge("p4q_dead_letters", "Dead letters.", deadLetters)
        metrics.gauge("p4q_remembered_ids", "Ids of forgotten jobs that still count.", rememberedIDs)
        metrics.gauge("p4q_deduplication_seconds", "The present length of the deduplication window.", deduplicationSeconds)
        metrics.gauge("p4q_journal_bytes", "Size of the journal.", journalBytes)
        metrics.gauge("p4q_journal_free_bytes", "Room on the journal's disk.", freeBytes)
        metrics.counter("p4q_journal_commits_total", "Commits.", commits)
        metrics.counter("p4q_journal_rows_total", "Rows written.", rows)
        metrics.counter("p4q_journal_syncs_total", "Calls that made something durable.", syncs)
        metrics.counter("p4q_refused_messages_total", "Messages and connections that were refused.", refused)
        metrics.addProcess(release: "0.1.0")
        return metrics
    }
}

extension Dispatcher {
    /// What the dispatcher's HTTP port tells. It is ready when its sockets are bound, which they are, and the journal can be written.
    package var watchSource: WatchPort.Source {
        WatchPort.Source(
            metrics: {
                var metrics = await core.status().metrics
                metrics.addShadows(core.desk.scoring)
                return metrics
            },
            obstacle: { await core.status().isDiskLow ? "the journal's disk is full" : nil },
            stats: { try await core.status().json() })
    }
}

extension DispatchedWorker {
    /// What a worker's HTTP port tells. It is ready when a dispatcher has been heard lately.
    package var watchSource: WatchPort.Source {
        @Sendable func figures() -> [(name: String, help: String, value: Double)] {
            let done = counters
            func seconds(_ duration: Duration) -> Double {
                Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
            }
            return [
                ("p4q_worker_scored_total", "Images that were scored.", Double(done.scored)),
                ("p4q_worker_failed_total", "Images that were not.", Double(done.failed)),
                ("p4q_worker_batches_total", "Passes through the tower.", Double(done.batches)),
                ("p4q_worker_batch_images_total", "Images in them.", Double(done.images)),
                ("p4q_worker_decode_seconds_total", "Time in decoding.", seconds(done.decode)),
                ("p4q_worker_preprocess_seconds_total", "Time in preprocessing.", seconds(done.preprocess)),
            ]
        }
        return WatchPort.Source(
            metrics: {
                var metrics = MetricsText()
                for figure in figures() { metrics.counter(figure.name, figure.help, [([], figure.value)]) }
                metrics.addProcess(release: "0.1.0")
                return metrics
            },
            obstacle: { isHeard ? nil : "no dispatcher has been heard" },
            stats: {
                let values = figures().map { "\"\($0.name)\":\($0.value)" } + ["\"dispatcher_heard\":\(isHeard)"]
                return "{" + values.joined(separator: ",") + "}"
            })
    }
}
