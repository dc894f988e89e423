/// Every metric of the program: what it means, which labels it has, and the buckets of histograms. Base units; labels whose values are few.
///
/// A metric of a library that uses swift-metrics is shown without a help text.
package enum MetricCatalog {
    package enum Kind: String, Sendable { case counter, gauge, histogram }

    package struct Entry: Sendable {
        package let name: String
        package let kind: Kind
        package let help: String
        package let labels: [String]
        /// Of histograms: upper bounds, ascending.
        package let buckets: [Double]
    }

    /// By name.
    package static let entries: [String: Entry] = Dictionary(uniqueKeysWithValues: list.map { ($0.name, $0) })

    /// Of histograms that are not in the catalog, in seconds.
    static let standardBuckets: [Double] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60]
    /// From a fast decode to the longest lease.
    private static let stages: [Double] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60]

    private static func counter(_ name: String, _ help: String, _ labels: String...) -> Entry {
        Entry(name: name, kind: .counter, help: help, labels: labels, buckets: [])
    }
    private static func gauge(_ name: String, _ help: String, _ labels: String...) -> Entry {
        Entry(name: name, kind: .gauge, help: help, labels: labels, buckets: [])
    }
    private static func histogram(_ name: String, _ help: String, _ buckets: [Double], _ labels: String...) -> Entry {
        Entry(name: name, kind: .histogram, help: help, labels: labels, buckets: buckets)
    }

    private static let list = process + queue + outcomes + dispatcher + worker + trainer

    private static let process = [
        gauge("p4q_build_info", "What runs here.", "version"),
        gauge("process_virtual_memory_bytes", "Virtual memory."),
        gauge("process_resident_memory_bytes", "Resident memory."),
        counter("process_cpu_seconds_total", "User and system time."),
        gauge("process_open_fds", "Open file descriptors."),
        gauge("process_max_fds", "File descriptors that may be open."),
        gauge("process_threads", "Threads."),
        gauge("process_start_time_seconds", "When the process started, in Unix time."),
        gauge("p4q_metrics_dropped_series", "Series that are not shown because their metric has too many."),
        counter(
            "p4q_config_reloads_total", "Times the configuration file was read again, by result: applied, unchanged, refused.", "result"),
        gauge("p4q_release_info", "A release in place, by class set and mode.", "class_set", "mode", "version", "model"),
        gauge("p4q_release_version", "The version of the release in place.", "class_set", "mode"),
        gauge("p4q_model_info", "A model that scores here.", "model", "sha256", "bits"),
    ]

    private static let queue = [
        gauge("p4q_queue_jobs", "Open jobs. ready: waits for a worker; open: all.", "service", "priority", "state"),
        gauge("p4q_queue_bytes", "Bytes of open jobs.", "service", "priority"),
        gauge("p4q_queue_oldest_seconds", "Since the acceptance of the ready job that has waited longest.", "service", "priority"),
        gauge("p4q_queue_in_flight", "Jobs that are leased."),
        gauge("p4q_queue_paused", "1 if nothing is leased, or nothing is taken in.", "service", "mode"),
        counter("p4q_jobs_accepted_total", "Jobs that were accepted."),
        counter("p4q_jobs_duplicate_total", "Jobs that were known already."),
        counter("p4q_jobs_conflict_total", "Jobs whose id was another job's."),
        counter("p4q_jobs_busy_total", "Jobs whose producers were told to wait, by the limit that was reached.", "reason"),
        counter("p4q_jobs_invalid_total", "Jobs that were not taken because they can't be used, by code.", "code"),
        counter("p4q_jobs_rejected_total", "Jobs that workers rejected for good, by code.", "code"),
        histogram("p4q_batch_jobs", "Jobs in a leased batch.", [1, 2, 4, 8, 16, 32, 64, 128, 256]),
        histogram("p4q_wait_seconds", "From acceptance to lease.", [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600]),
        histogram("p4q_work_seconds", "From lease to outcome.", [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60]),
    ]

    private static let outcomes = [
        counter("p4q_outcomes_total", "Outcomes by kind: scored, rejected, dead_ and a reason.", "outcome"),
        counter(
            "p4q_redeliveries_total",
            "Leases that ended without an outcome, so that their jobs are leased again or dead, by reason; cost: whether an attempt was used.",
            "reason", "cost"),
        counter("p4q_outcomes_delivered_total", "Outcomes sent to sinks."),
        counter("p4q_outcomes_redelivered_total", "Outcomes sent again, because a sink left or did not acknowledge them."),
        counter("p4q_outcomes_acknowledged_total", "Acknowledgements of sinks."),
        counter("p4q_outcomes_expired_total", "Outcomes that a group lost unread by its retention.", "group"),
        gauge("p4q_group_unread_outcomes", "Outcomes a group has not read.", "group"),
        gauge("p4q_group_members", "Sinks of a group.", "group"),
        gauge("p4q_dead_letters", "Dead letters."),
        gauge("p4q_remembered_ids", "Ids of forgotten jobs that still count."),
        gauge("p4q_deduplication_seconds", "The present length of the deduplication window."),
    ]

    private static let dispatcher = [
        gauge("p4q_workers", "Workers by state.", "state"),
        gauge("p4q_journal_bytes", "Size of the journal."),
        gauge("p4q_journal_free_bytes", "Room on the journal's disk."),
        gauge("p4q_journal_disk_low", "1 if the journal's disk has too little room, so that no jobs are taken."),
        counter("p4q_journal_commits_total", "Commits."),
        counter("p4q_journal_rows_total", "Rows written."),
        counter("p4q_journal_syncs_total", "Calls that made something durable."),
        counter("p4q_refused_messages_total", "Messages and connections that were refused, by reason.", "reason"),
        counter(
            "p4q_connections_total",
            "Connections that were accepted, and those established: the others did not come through their handshake.",
            "state"),
        gauge("p4q_shadow_version", "The release that the fleet tries in shadow.", "class_set"),
        gauge("p4q_shadow_scored_images", "Images that the fleet has scored with it too.", "class_set"),
        gauge("p4q_shadow_agreed_images", "Images for which it gave the live one's answer.", "class_set"),
    ]

    private static let worker = [
        counter(
            "p4q_images_total", "Images by file format and outcome: scored, unknown, learned, or the code of a failure.", "format",
            "outcome"),
        histogram(
            "p4q_stage_seconds", "Time in a stage: queue, decode, preprocess and total of an image, infer of a batch.", stages, "stage"),
        histogram("p4q_worker_batch_images", "Images in one pass through the tower.", [1, 2, 4, 8, 16, 32, 64, 128]),
        gauge("p4q_worker_dispatcher_heard", "1 if the dispatcher was heard lately on every connection."),
        gauge("p4q_worker_canary_age_seconds", "Since an image last went through the whole worker and its answer was right."),
        counter("p4q_worker_canaries_total", "Test images that went through the worker, by result: right, wrong, failed, late.", "result"),
        counter("p4q_worker_shadow_scored_total", "Images that the shadow release scored too.", "class_set"),
        counter("p4q_worker_shadow_agreed_total", "Images for which it gave the same answer.", "class_set"),
        counter("p4q_worker_answers_total", "First answers, by class set and class.", "class_set", "label"),
        counter(
            "p4q_worker_confidences_total", "First answers by their probability, in bins a tenth wide, by upper bound.", "class_set",
            "below"),
        counter("p4q_worker_releases_taken_total", "Releases that were checked and taken."),
        counter("p4q_worker_releases_refused_total", "Releases and changes that were refused, by code.", "code"),
        counter("p4q_worker_release_snapshots_total", "Snapshots that were taken."),
        counter("p4q_worker_release_gaps_total", "Changes that were missed and found by the snapshot."),
    ]

    private static let trainer = [
        gauge("p4q_trainer_examples", "Examples that are kept.", "class_set", "split"),
        gauge("p4q_trainer_runs", "Training runs by what became of them.", "class_set", "state"),
        gauge("p4q_trainer_gate_held_out", "Held-out examples of the last decision.", "class_set"),
        gauge("p4q_trainer_gate_right", "Of them right by the model alone, the release in service, the candidate.", "class_set", "model"),
        gauge("p4q_trainer_gate_p", "Of McNemar's exact test that the candidate is better.", "class_set"),
        gauge("p4q_trainer_gate_level", "What it had to stay below.", "class_set"),
        gauge("p4q_trainer_gate_calibration_error", "Expected calibration error.", "class_set", "model"),
        gauge(
            "p4q_trainer_drift_index", "Population stability index of the last window, less what chance makes of it.", "class_set", "of"),
        gauge("p4q_trainer_drift", "1 where it has moved beyond the limit and beyond chance.", "class_set", "of"),
        gauge(
            "p4q_trainer_shadow_labels", "New labels that the shadow was measured on, and which one alone is right.", "class_set", "right"),
    ]
}
