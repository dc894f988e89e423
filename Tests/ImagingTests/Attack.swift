import Foundation
import Imaging

/// Files made to cost a decoder far more than they cost to send.
struct Attack: Sendable {
    let name: String
    let bytes: @Sendable () -> [UInt8]

    static let all: [Attack] = hugeChunks + surplus + bombs + jpegHeaders + scans

    /// 42 bytes: a chunk that claims two gigabytes.
    private static let hugeChunks = ["IDAT", "PLTE", "tRNS", "zTXt", "iCCP", "tEXt", "eXIf", "iTXt", "sPLT", "hIST", "zzzz"].map { type in
        Attack(name: "2 GB of \(type)") {
            let start = PNGFile.signature + PNGFile(width: 1, height: 1, color: type == "PLTE" ? 3 : 2, data: []).header
            return Array((start + PNGFile.chunk(type, [0], claimedLength: 0x7FFF_FFFF)).prefix(42))
        }
    }

    // Half a gigabyte took libpng 1.4 s on the machine where it was found; four times that is too slow on any.
    private static let surplus = [
        Attack(name: "2 GB behind one pixel") { png(PNGFile(width: 1, height: 1, data: []), zeros: 2 << 30) },
        Attack(name: "2 GB behind one pixel, interlaced") {
            png(PNGFile(width: 1, height: 1, interlaced: true, data: []), zeros: 2 << 30)
        },
        Attack(name: "a text chunk of 512 MB") {
            let text = Array("Raw profile type exif\0\0".utf8) + PNGFile.deflatedZeros(512 << 20)
            return PNGFile(width: 1, height: 1, data: [0, 1, 2, 3], before: [("zTXt", text)]).bytes
        },
        Attack(name: "a million empty IDATs") {
            let empty = PNGFile.chunk("IDAT", [])
            var file = PNGFile.signature + PNGFile(width: 1, height: 1, data: []).header
            for _ in 0..<1_000_000 { file += empty }
            return file
        },
    ]

    private static let bombs: [Attack] = {
        let sizes: [(Int, Int, Int, Int, Bool)] = [
            (65_500, 65_500, 8, 2, false), (0x7FFF_FFFF, 0x7FFF_FFFF, 16, 6, true), (0x7FFF_FFFF, 1, 1, 0, false), (1, 65_500, 8, 2, false),
            (1, 1000, 16, 6, true), (7000, 7000, 1, 0, false), (4096, 4096, 8, 2, false), (4096, 4096, 1, 3, true),
            (2500, 2500, 16, 6, false),
            (2500, 2500, 16, 6, true), (5000, 5000, 16, 6, true), (4000, 4000, 8, 0, true), (2500, 4900, 16, 0, true),
            (4096, 4095, 1, 0, true),
        ]
        return sizes.map { width, height, depth, color, interlaced in
            Attack(name: "\(width) x \(height), depth \(depth), colour type \(color), \(interlaced ? "" : "not ")interlaced") {
                var file = PNGFile(width: width, height: height, depth: depth, color: color, interlaced: interlaced, data: [])
                file.palette = color == 3 ? [1, 2, 3, 4, 5, 6] : nil
                let bits = width.multipliedReportingOverflow(by: height).partialValue / 8
                return png(file, zeros: min(256 << 20, max(1 << 20, bits &* file.bitsPerPixel + height * 4)))
            }
        }
    }()

    private static let jpegHeaders: [Attack] = [
        (65_500, 65_500, 0xC0), (65_500, 65_500, 0xC2), (65_500, 1, 0xC0), (4096, 4096, 0xC0), (4096, 4096, 0xC2),
    ]
    .map { width, height, frame in
        Attack(name: "a JPEG that claims \(width) x \(height), SOF\(frame - 0xC0), and ends early") {
            jpegHead(width: width, height: height, frame: UInt8(frame)) + dcScan + [0xFF, 0xD9]
        }
    }

    private static let scans = [
        Attack(name: "a progressive JPEG of 20,000 scans") {
            var file = jpegHead(width: 2048, height: 2048, frame: 0xC2) + dcScan
            for _ in 0..<20_000 { file += [0xFF, 0xDA, 0, 8, 1, 1, 0x00, 1, 63, 0x00, 0x7F, 0xFF, 0x00, 0x7F, 0xFF, 0x00, 0x7F] }
            return file + [0xFF, 0xD9]
        },
        Attack(name: "a small progressive JPEG of 20,000 scans") {
            var file = jpegHead(width: 16, height: 16, frame: 0xC2) + dcScan
            for _ in 0..<20_000 { file += [0xFF, 0xDA, 0, 8, 1, 1, 0x00, 1, 63, 0x00, 0x7F] }
            return file + [0xFF, 0xD9]
        },
        Attack(name: "a hundred thousand tables before the picture") {
            var file: [UInt8] = [0xFF, 0xD8]
            for _ in 0..<100_000 { file += [0xFF, 0xDB, 0, 67, 0] + [UInt8](repeating: 1, count: 64) }
            return file
        },
    ]

    fileprivate static func png(_ file: PNGFile, zeros: Int) -> [UInt8] {
        var bytes = PNGFile.signature + file.header
        if let palette = file.palette { bytes += PNGFile.chunk("PLTE", palette) }
        return bytes + PNGFile.chunk("IDAT", PNGFile.deflatedZeros(zeros)) + PNGFile.chunk("IEND", [])
    }

    /// Gray; one quantization table; Huffman tables with one code each, `0`: no difference for DC, a long run of empty blocks for AC.
    private static func jpegHead(width: Int, height: Int, frame: UInt8) -> [UInt8] {
        let dqt: [UInt8] = [0xFF, 0xDB, 0, 67, 0] + [UInt8](repeating: 1, count: 64)
        let sof: [UInt8] = [
            0xFF, frame, 0, 11, 8, UInt8(height >> 8), UInt8(height & 255), UInt8(width >> 8), UInt8(width & 255), 1, 1, 0x11, 0,
        ]
        let counts: [UInt8] = [1] + [UInt8](repeating: 0, count: 15)
        let ac: UInt8 = frame == 0xC2 ? 0xE0 : 0x00
        return [0xFF, 0xD8] + dqt + sof + [0xFF, 0xC4, 0, 20, 0x00] + counts + [0] + [0xFF, 0xC4, 0, 20, 0x10] + counts + [ac]
    }

    private static let dcScan: [UInt8] = [0xFF, 0xDA, 0, 8, 1, 1, 0x00, 0, 0, 0x00, 0x00]
}

/// What decoding a file cost this thread and this process.
struct Cost {
    let outcome: String
    let cpuMilliseconds: Double
    let kibibytes: Int

    init(of bytes: [UInt8]) {
        Self.forgetPeak()
        let (memory, start) = (Self.status("VmRSS"), Self.cpu())
        do {
            let image = try bytes.withUnsafeBytes { try ImageDecoder().decode($0) }
            outcome = "decoded \(image.width) x \(image.height)"
        } catch {
            outcome = "\(error)"
        }
        (cpuMilliseconds, kibibytes) = ((Self.cpu() - start) * 1000, Self.status("VmHWM") - memory)
    }

    /// The least cost of a few attempts.
    static func least(of bytes: [UInt8], attempts: Int = 3, until milliseconds: Double = 250) -> Cost {
        var least = Cost(of: bytes)
        for _ in 1..<attempts where least.cpuMilliseconds > milliseconds {
            let again = Cost(of: bytes)
            if again.cpuMilliseconds < least.cpuMilliseconds { least = again }
        }
        return least
    }

    /// What a file may cost now, in milliseconds: 250 of a core that nobody else uses, which takes `ordinary` for a plain picture of 16 million pixels
    /// (a Zen 3's figure). Whoever has the other half of the core makes this thread's time more, by up to a factor of two; the picture shows how much.
    static func budget() -> Double {
        let ordinary = 180.0
        let picture = Attack.png(PNGFile(width: 4096, height: 4096, depth: 8, color: 2, data: []), zeros: 4096 * 12289)
        let now = least(of: picture, until: 0).cpuMilliseconds
        return 250 * max(1, now / ordinary)
    }

    private static func cpu() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    /// Peak memory is counted from here on; needs Linux.
    private static func forgetPeak() {
        guard let file = fopen("/proc/self/clear_refs", "w") else { return }
        fputs("5", file)
        fclose(file)
    }

    private static func status(_ key: String) -> Int {
        let text = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix(key + ":") }
        return line?.split(whereSeparator: { !$0.isNumber }).first.flatMap { Int($0) } ?? 0
    }
}
