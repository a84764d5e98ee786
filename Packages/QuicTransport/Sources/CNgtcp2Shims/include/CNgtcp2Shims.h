/// The C half of QuicCore.
#ifndef CNGTCP2_SHIMS_H
#define CNGTCP2_SHIMS_H

#include "lp2p_ack_log.h"
#include "lp2p_conn.h"
#include "lp2p_frame_guard.h"
#include "lp2p_packet_protection.h"
#include "lp2p_receive_window.h"

#endif
