import FuzzSupport

/// What a host reads before anybody has agreed on anything, and what peers tell of themselves.
let targets: [FuzzTarget] = [
    FuzzTarget("multistream-dialer", fuzzMultistreamDialer),
    FuzzTarget("multistream-listener", fuzzMultistreamListener),
    FuzzTarget("identify", fuzzIdentify),
    FuzzTarget("signed-envelope", fuzzSignedEnvelope),
]
