// swift-tools-version: 6.1
import PackageDescription

/// Every Swift target is built the same way: explicit existentials, and imports that say which dependency shows in a signature.
let swift: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let deque = Target.Dependency.product(name: "DequeModule", package: "swift-collections")
let heap = Target.Dependency.product(name: "HeapModule", package: "swift-collections")
let configuration = Target.Dependency.product(name: "Configuration", package: "swift-configuration")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let flyingFox = Target.Dependency.product(name: "FlyingFox", package: "FlyingFox")
let flyingSocks = Target.Dependency.product(name: "FlyingSocks", package: "FlyingFox")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let sqlite = Target.Dependency.product(name: "GRDBSQLite", package: "GRDB.swift")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let unixSignals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let metrics = Target.Dependency.product(name: "Metrics", package: "swift-metrics")
let protobuf = Target.Dependency.product(name: "SwiftProtobuf", package: "swift-protobuf")
let systemPackage = Target.Dependency.product(name: "SystemPackage", package: "swift-system")
let textTable = Target.Dependency.product(name: "TextTable", package: "TextTable")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

let package = Package(
    name: "p4q",
    products: [.executable(name: "p4q", targets: ["p4q"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.3.0"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0", traits: ["YAML"]),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/swhitty/FlyingFox", from: "0.27.1"),
        .package(url: "https://github.com/ordo-one/TextTable", from: "0.0.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    ],
    targets: [
        // C: instruction sets, and libraries that longjmp. System libraries by module map.
        .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
        .systemLibrary(name: "CZeroMQ", providers: [.apt(["libzmq3-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CPNG", pkgConfig: "libpng", providers: [.apt(["libpng-dev"])]),
        .systemLibrary(name: "CJPEG", pkgConfig: "libjpeg", providers: [.apt(["libjpeg-dev"])]),
        .systemLibrary(name: "CGlibc"),
        .target(name: "CImageCodecs", dependencies: ["CPNG", "CJPEG", "CZlib"]),
        .target(name: "CKernels"),
        // The built-in model's files, as data of the program.
        .target(name: "CBuiltInModel", exclude: ["model"], cSettings: [.headerSearchPath("model")]),

        // Arrows only point down.
        .target(name: "Tensors", dependencies: ["CKernels", "COpenBLAS"], swiftSettings: swift),
        .target(name: "Imaging", dependencies: ["Tensors", "CImageCodecs"], swiftSettings: swift),
        .target(name: "Drawing", dependencies: ["Imaging"], swiftSettings: swift),
        .target(name: "CLIP", dependencies: ["Tensors", "Imaging", "CZlib", crypto, yams], swiftSettings: swift),
        .target(name: "Quantization", dependencies: ["CLIP", "Imaging", "Tensors", "CGlibc", crypto, yams], swiftSettings: swift),
        .target(name: "BuiltInModel", dependencies: ["CBuiltInModel", crypto], swiftSettings: swift),
        .target(name: "Tuning", dependencies: ["Quantization", "CLIP", "Drawing", "Imaging", "Tensors", crypto], swiftSettings: swift),
        .target(name: "Training", dependencies: ["Tuning", "CLIP", "Tensors", grdb, crypto], swiftSettings: swift),
        .target(name: "JobQueue", dependencies: [grdb, sqlite, crypto, deque, heap], swiftSettings: swift),
        // Generated messages keep their fields in objects that one thread uses: checking every access for others at run time is a sixth of their cost.
        .target(name: "Messages", dependencies: [protobuf], swiftSettings: swift + [.unsafeFlags(["-enforce-exclusivity=unchecked"])]),
        .target(name: "Transport", dependencies: ["CZeroMQ"], swiftSettings: swift),
        .target(name: "Datasets", swiftSettings: swift),
        .target(
            name: "Services",
            dependencies: [
                "Tensors", "Imaging", "CLIP", "Quantization", "Tuning", "Training", "Messages", "Transport", "JobQueue", crypto,
                flyingFox,
                flyingSocks, lifecycle, logging, metrics,
            ],
            swiftSettings: swift),
        .executableTarget(
            name: "p4q",
            dependencies: [
                "Tensors", "Imaging", "Drawing", "CLIP", "Quantization", "Messages", "Transport", "Datasets", "Services", "Tuning",
                "Training", "JobQueue", "CGlibc", "BuiltInModel",
                argumentParser, configuration, crypto, lifecycle, logging, metrics, systemPackage, textTable, unixSignals, yams,
            ],
            swiftSettings: swift),

        .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: swift),
        .testTarget(name: "TensorsTests", dependencies: ["Tensors", "TestSupport"], swiftSettings: swift),
        .testTarget(name: "ImagingTests", dependencies: ["Imaging", "Tensors", "TestSupport", "CZlib", crypto], swiftSettings: swift),
        .testTarget(
            name: "BuiltInModelTests",
            dependencies: ["BuiltInModel", "CLIP", "Drawing", "Imaging", "Quantization", "Tensors", "Tuning"], swiftSettings: swift),
        .testTarget(name: "DrawingTests", dependencies: ["Drawing", "Imaging", crypto], swiftSettings: swift),
        .testTarget(name: "CLIPTests", dependencies: ["CLIP", "Imaging", "Tensors", "TestSupport"], swiftSettings: swift),
        .testTarget(
            name: "QuantizationTests", dependencies: ["Quantization", "CLIP", "Datasets", "Imaging", "Tensors", "TestSupport"],
            swiftSettings: swift),
        .testTarget(
            name: "TuningTests", dependencies: ["Tuning", "Quantization", "CLIP", "Drawing", "Imaging", "Tensors", "TestSupport"],
            swiftSettings: swift),
        .testTarget(
            name: "TrainingTests", dependencies: ["Training", "Tuning", "Quantization", "CLIP", "Tensors", "TestSupport"],
            swiftSettings: swift),
        .testTarget(name: "JobQueueTests", dependencies: ["JobQueue", grdb, "TestSupport"], swiftSettings: swift),
        .testTarget(name: "MessagesTests", dependencies: ["Messages"], swiftSettings: swift),
        .testTarget(name: "TransportTests", dependencies: ["Transport", "Messages"], swiftSettings: swift),
        .testTarget(name: "DatasetsTests", dependencies: ["Datasets", "Imaging", "TestSupport"], swiftSettings: swift),
        .testTarget(
            name: "ServicesTests",
            dependencies: [
                "Services", "CLIP", "Imaging", "JobQueue", "Messages", "Quantization", "Tensors", "Training", "Transport", "Tuning",
                "TestSupport",
                crypto,
                logging,
                metrics,
            ],
            swiftSettings: swift),
        .testTarget(
            name: "EndToEndTests",
            dependencies: [
                "p4q", "CLIP", "Datasets", "Imaging", "Messages", "Quantization", "Services", "Tensors", "Training", "Transport", "Tuning",
                "TestSupport",
            ],
            swiftSettings: swift),
    ],
    swiftLanguageModes: [.v6],
    cLanguageStandard: .c11
)
