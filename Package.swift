// swift-tools-version: 6.1
import PackageDescription

// Executables and tests find libtorch where Scripts/setup puts it; libraries carry no path.
let home = Context.environment["HOME"] ?? "/root"
let cache = Context.environment["APUS_CACHE"] ?? "\(Context.environment["XDG_CACHE_HOME"] ?? "\(home)/.cache")/apus"
let libtorch = "\(cache)/libtorch-2.11.0"
func search(_ folder: String) -> LinkerSetting { .unsafeFlags(["-Xlinker", "-rpath", "-Xlinker", folder]) }
// Arrow is found there too, when a data set needs it; without it the program starts and works.
let rpath = [search("\(libtorch)/torch/lib"), search("\(cache)/arrow-26.0.1/lib")]
// The program looks first for what stands in for libtorch until something is computed (Scripts/light-engine).
let light = [search("\(libtorch)/light")]

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

func target(_ name: String, _ dependencies: [Target.Dependency] = [], exclude: [String] = []) -> Target {
    .target(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: settings)
}

func program(
    _ name: String, _ dependencies: [Target.Dependency], path: String? = nil, linkerSettings: [LinkerSetting] = rpath
) -> Target {
    .executableTarget(
        name: name, dependencies: dependencies, path: path, swiftSettings: settings, linkerSettings: linkerSettings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: settings, linkerSettings: rpath)
}

let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let protobuf = Target.Dependency.product(name: "SwiftProtobuf", package: "swift-protobuf")
let httpClient = Target.Dependency.product(name: "AsyncHTTPClient", package: "async-http-client")
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioHTTP = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")
let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
    name: "apus",
    // macOS is untested.
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "apus", targets: ["ApusProgram"]),
        .library(name: "Apus", targets: ["Apus"]),
        .library(name: "ApusTools", targets: ["ApusRecipes", "ApusNN", "ApusTorch", "ApusText"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.80.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
    ],
    targets: [
        // Floor 0
        .systemLibrary(name: "CLibtorch", pkgConfig: "libtorch"),
        .systemLibrary(name: "CCairo", pkgConfig: "cairo", providers: [.apt(["libcairo2-dev"]), .brew(["cairo"])]),
        .systemLibrary(
            name: "COniguruma", pkgConfig: "oniguruma", providers: [.apt(["libonig-dev"]), .brew(["oniguruma"])]),
        .systemLibrary(name: "CEdit", pkgConfig: "libedit", providers: [.apt(["libedit-dev"]), .brew(["libedit"])]),
        // NDEBUG as libtorch was built: without it some of its classes have members more.
        .target(
            name: "CTorch", dependencies: ["CLibtorch"],
            // Read by launch.cpp and kernels.h.
            exclude: ["fused/cuda/device.cuh", "fused/cuda/kernels.cuh"], cxxSettings: [.define("NDEBUG")]),
        target("ApusTorch", ["CTorch"]),
        target("ApusJSON"),
        // Floor 1
        target("ApusNN", ["ApusTorch"]),
        target("ApusWeights", ["ApusTorch", "ApusJSON"]),
        target("ApusText", ["ApusJSON", "COniguruma", protobuf]),
        target("ApusHub", ["ApusJSON", "ApusFiles", httpClient, nioCore, nioHTTP, nioPosix, nioSSL, crypto]),
        target("ApusFiles", ["ApusJSON", crypto]),
        target("ApusMetrics"),
        // Floor 2
        target("ApusLanguageModel", ["ApusNN", "ApusTorch", "ApusWeights", "ApusJSON"]),
        target("ApusAdapters", ["ApusNN", "ApusTorch", "ApusWeights", "ApusJSON"]),
        target("ApusQuantization", ["ApusNN", "ApusTorch", "ApusWeights", "ApusJSON"]),
        target("ApusOptimizers", ["ApusNN", "ApusTorch"]),
        target("ApusDatasets", ["ApusText", "ApusFiles", "ApusJSON"]),
        target("ApusRewards", ["ApusFiles", "ApusJSON"]),
        target(
            "ApusRunLog", ["ApusFiles", "ApusJSON", "CCairo", protobuf],
            exclude: ["TensorBoard/Proto", "Trackers/Proto"]),
        // Floor 3
        target("ApusModels", ["ApusLanguageModel", "ApusNN", "ApusTorch", "ApusJSON"]),
        target("ApusGeneration", ["ApusLanguageModel", "ApusNN", "ApusText", "ApusTorch"]),
        target(
            "ApusTraining",
            [
                "ApusGeneration", "ApusLanguageModel", "ApusOptimizers", "ApusDatasets", "ApusRewards", "ApusRunLog",
                "ApusMetrics", "ApusFiles", "ApusNN", "ApusTorch", "ApusWeights", "ApusJSON",
            ]),
        // Floor 4
        target(
            "ApusRecipes",
            [
                "ApusModels", "ApusGeneration", "ApusTraining", "ApusHub", "ApusLanguageModel", "ApusAdapters",
                "ApusQuantization", "ApusOptimizers", "ApusDatasets", "ApusRewards", "ApusRunLog", "ApusMetrics",
                "ApusFiles", "ApusText", "ApusWeights", "ApusNN", "ApusTorch", "ApusJSON", crypto, yams,
            ]),
        target(
            "Apus",
            [
                "ApusRecipes", "ApusAdapters", "ApusNN", "ApusDatasets", "ApusRewards", "ApusText", "ApusTorch",
                "ApusJSON",
            ]),
        // Floor 5
        program("ApusProgram", ["ApusRecipes", "CEdit", argumentParser], linkerSettings: light + rpath),
        program("TwoPlusTwo", ["ApusRecipes", "ApusText", "ApusTorch"], path: "Examples/TwoPlusTwo"),
        program("Chatting", ["Apus"], path: "Examples/Chatting"),
        program("Embedding", ["Apus"], path: "Examples/Embedding"),
        program("Classifying", ["Apus"], path: "Examples/Classifying"),
        program("Adapting", ["Apus"], path: "Examples/Adapting"),
        program("Merging", ["Apus"], path: "Examples/Merging"),
        program("FillingMasks", ["Apus"], path: "Examples/FillingMasks"),
        program("SoftPrompt", ["ApusRecipes", "ApusText", "ApusTorch"], path: "Examples/SoftPrompt"),
        program("OwnAdapter", ["Apus", "ApusNN", "ApusTorch"], path: "Examples/OwnAdapter"),
        // Benchmarks
        program("TokenizerBench", ["ApusText", "ApusJSON"], path: "Benchmarks/TokenizerBench"),
        program("TemplateBench", ["ApusText", "ApusJSON"], path: "Benchmarks/TemplateBench"),
        program("DataBench", ["ApusDatasets", "ApusText", "ApusJSON"], path: "Benchmarks/DataBench"),
        program(
            "StepBench",
            [
                "ApusModels", "ApusAdapters", "ApusQuantization", "ApusTraining", "ApusRunLog", "ApusOptimizers",
                "ApusDatasets", "ApusLanguageModel", "ApusNN", "ApusTorch", "ApusWeights", "ApusJSON",
            ], path: "Benchmarks/StepBench"),
        program(
            "DecodeBench",
            ["ApusModels", "ApusGeneration", "ApusLanguageModel", "ApusNN", "ApusTorch", "ApusJSON"],
            path: "Benchmarks/DecodeBench"),
        program(
            "DeviceCheck",
            [
                "ApusTorchTesting", "ApusModels", "ApusAdapters", "ApusGeneration", "ApusTraining", "ApusOptimizers",
                "ApusLanguageModel", "ApusNN", "ApusTorch", "ApusJSON",
            ], path: "Benchmarks/DeviceCheck"),
        program("Mutations", ["ApusMutations"], path: "Benchmarks/Mutations"),
        // Tests
        .target(
            name: "ApusMutations",
            dependencies: [
                "ApusModels", "ApusAdapters", "ApusLanguageModel", "ApusDatasets", "ApusText", "ApusWeights", "ApusNN",
                "ApusTorch", "ApusJSON",
            ], path: "Tests/ApusMutations", swiftSettings: settings),
        tests("ApusMutationsTests", ["ApusMutations"]),
        .target(
            name: "ApusTorchTesting", dependencies: ["ApusTorch"], path: "Tests/ApusTorchTesting",
            swiftSettings: settings),
        // Opens CUDA before the first test of the process, where APUS_TEST_CUDA asks for it.
        .target(name: "CDeviceStart", dependencies: ["CTorch"], path: "Tests/CDeviceStart"),
        tests("ApusTorchTests", ["ApusTorch", "ApusTorchTesting", "CDeviceStart"]),
        tests("ApusJSONTests", ["ApusJSON"]),
        tests("ApusQuantizationTests", ["ApusQuantization", "ApusNN", "ApusTorch", "ApusWeights", "ApusJSON"]),
        tests("ApusWeightsTests", ["ApusWeights", "ApusTorch", "ApusJSON"]),
        tests("ApusDatasetsTests", ["ApusDatasets", "ApusText", "ApusFiles", "ApusJSON"]),
        tests(
            "ApusModelsTests",
            [
                "ApusModels", "ApusAdapters", "ApusQuantization", "ApusOptimizers", "ApusGeneration", "ApusTraining",
                "ApusRunLog", "ApusMetrics", "ApusRewards", "ApusWeights", "ApusDatasets", "ApusFiles", "ApusJSON",
                "ApusLanguageModel", "ApusNN", "ApusTorch",
            ]),
        .target(
            name: "ApusFilesTesting", dependencies: ["ApusFiles"], path: "Tests/ApusFilesTesting",
            swiftSettings: settings),
        tests("ApusFilesTests", ["ApusFiles", "ApusFilesTesting", "ApusJSON"]),
        .target(
            name: "ApusHubTesting", dependencies: ["ApusFilesTesting", "ApusJSON"], path: "Tests/ApusHubTesting",
            swiftSettings: settings),
        tests("ApusHubTests", ["ApusHub", "ApusHubTesting", "ApusFiles", "ApusFilesTesting", "ApusJSON", nioHTTP]),
        tests("ApusMetricsTests", ["ApusMetrics"]),
        tests("ApusRewardsTests", ["ApusRewards", "ApusFiles", "ApusJSON"]),
        tests("ApusRunLogTests", ["ApusRunLog", "ApusFiles", "ApusFilesTesting", "ApusJSON", protobuf]),
        tests(
            "ApusTrainingTests",
            [
                "ApusTraining", "ApusRunLog", "ApusOptimizers", "ApusTorch", "ApusFiles", "ApusFilesTesting",
                "ApusJSON",
            ]),
        tests(
            "ApusGenerationTests",
            [
                "ApusGeneration", "ApusModels", "ApusLanguageModel", "ApusNN", "ApusText", "ApusTorch", "ApusWeights",
                "ApusJSON",
            ]),
        .testTarget(
            name: "ApusTextTests", dependencies: ["ApusText", "ApusJSON"], exclude: ["Fixtures"],
            swiftSettings: settings),
        tests(
            "ApusRecipesTests",
            [
                "Apus", "ApusFiles", "ApusFilesTesting", "ApusHub", "ApusHubTesting", "ApusRunLog", "ApusRecipes",
                "ApusRewards", "ApusAdapters",
                "ApusGeneration",
                "ApusLanguageModel",
                "ApusModels", "ApusNN", "ApusQuantization", "ApusMetrics",
                "ApusOptimizers", "ApusTorch", "ApusWeights", "ApusDatasets", "ApusText", "ApusJSON", "ApusTraining",
            ]),
        tests("ApusProgramTests", ["ApusProgram", "ApusRecipes"]),
    ],
    swiftLanguageModes: [.v6],
    cxxLanguageStandard: .gnucxx20
)
