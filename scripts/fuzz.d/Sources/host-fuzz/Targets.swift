import FuzzSupport

/// What a host reads before anybody has agreed on anything.
let targets: [FuzzTarget] = [
    FuzzTarget("multistream-dialer", fuzzMultistreamDialer),
    FuzzTarget("multistream-listener", fuzzMultistreamListener),
]
