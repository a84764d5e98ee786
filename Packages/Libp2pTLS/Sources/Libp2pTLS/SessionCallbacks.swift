internal import CGnuTLS

/// The session object behind a C session.
///
/// The pointer is unretained and still valid: it was put there by the object's initialiser, and the object frees the C
/// session, and with it every chance of a callback, in its `deinit`.
private func owner(of session: gnutls_session_t?) -> TLSSession? {
    guard let session, let pointer = gnutls_db_get_ptr(session) else { return nil }
    return Unmanaged<TLSSession>.fromOpaque(pointer).takeUnretainedValue()
}

/// `gnutls_session_set_verify_function`: called after the peer's CertificateVerify, before its Finished.
let verifyCallback: @convention(c) (gnutls_session_t?) -> Int32 = { session in
    owner(of: session)?.judgePeer() ?? GNUTLS_E_INTERNAL_ERROR
}

/// `gnutls_handshake_set_hook_function`: called around every handshake message; two arrivals interest.
let messageCallback:
    @convention(c) (gnutls_session_t?, UInt32, UInt32, UInt32, UnsafePointer<gnutls_datum_t>?) -> Int32 = {
        session,
        kind,
        when,
        isIncoming,
        message in
        guard isIncoming != 0 else { return 0 }
        // GnuTLS has looked at a message when `when` is not 0.
        switch (kind, when == 0) {
        case (GNUTLS_HANDSHAKE_CERTIFICATE_PKT.rawValue, true):
            guard let owner = owner(of: session) else { return GNUTLS_E_INTERNAL_ERROR }
            return owner.judge(certificateMessage: message.map { copyDatum($0.pointee) } ?? [])
        case (GNUTLS_HANDSHAKE_NEW_SESSION_TICKET.rawValue, false): owner(of: session)?.keepTicket()
        default: break
        }
        return 0
    }

/// `gnutls_session_set_keylog_function`: called for each secret, when a key log is configured.
let keyLogCallback: @convention(c) (gnutls_session_t?, UnsafePointer<CChar>?, UnsafePointer<gnutls_datum_t>?) -> Int32 =
    {
        session,
        label,
        secret in
        if let owner = owner(of: session), let label, let secret {
            owner.log(label: String(cString: label), secret: copyDatum(secret.pointee))
        }
        return 0
    }
