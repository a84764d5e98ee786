#include "lp2p_conn_internal.h"

/* Datagrams come and go in trains of equal ones. What has to be looked at once for each train is looked at in Swift; what
   has to be done for each packet is done here. */

lp2p_train_read lp2p_conn_read_train(lp2p_conn *self, const void *local, uint32_t local_length, const void *remote,
                                     uint32_t remote_length, const uint8_t *datagrams, size_t length, size_t segment,
                                     uint8_t ecn, uint64_t now) {
  lp2p_train_read result = {.status = LP2P_OK, .length = 0};
  self->needs_attention = 0;
  while (result.length < length && result.status == LP2P_OK && !self->needs_attention) {
    size_t left = length - result.length;
    size_t count = left < segment ? left : segment;
    result.status = lp2p_conn_read(self, local, local_length, remote, remote_length, datagrams + result.length, count,
                                   ecn, now);
    result.length += count;
  }
  lp2p_flush_acknowledged(self);
  return result;
}

/* The unsent bytes of a stream, as far as packets have not taken them. */
typedef struct cursor {
  const lp2p_vec *vector;
  size_t count;
  size_t offset; /* into the first vector */
  size_t left;   /* of all vectors */
} cursor;

/* Vectors for about one packet. */
#define PACKET_VECTORS 8

static size_t next_vectors(const cursor *at, ngtcp2_vec *vectors, size_t limit) {
  size_t count = 0, total = 0, offset = at->offset;
  for (size_t i = 0; i < at->count && count < PACKET_VECTORS && total < limit; i++) {
    vectors[count].base = at->vector[i].base + offset;
    vectors[count].len = at->vector[i].length - offset;
    total += vectors[count].len;
    count++;
    offset = 0;
  }
  return count;
}

static void advance(cursor *at, size_t count) {
  at->left -= count;
  while (at->count > 0 && count >= at->vector->length - at->offset) {
    count -= at->vector->length - at->offset;
    at->vector++;
    at->count--;
    at->offset = 0;
  }
  at->offset += count;
}

static size_t sum(const lp2p_vec *data, size_t count) {
  size_t total = 0;
  for (size_t i = 0; i < count; i++) total += data[i].length;
  return total;
}

lp2p_train_written lp2p_conn_write_train(lp2p_conn *self, uint8_t *destination, size_t segment, size_t most,
                                         int64_t stream, const lp2p_vec *data, size_t count, uint8_t ecn,
                                         uint64_t now) {
  lp2p_train_written result = {.status = LP2P_OK};
  cursor at = {.vector = data, .count = count, .offset = 0, .left = sum(data, count)};
  now = lp2p_clamp(self, now);
  /* What a packet takes is less than what it is long: with so much left, the stream fills it alone. */
  while (result.packets < most && at.left >= segment && !self->unproved.is_active) {
    ngtcp2_vec vectors[PACKET_VECTORS];
    size_t in_use = next_vectors(&at, vectors, segment);
    ngtcp2_pkt_info info = {.ecn = 0};
    ngtcp2_ssize accepted = -1;
    lp2p_set_current(self);
    ngtcp2_ssize n = ngtcp2_conn_writev_stream(self->conn, &self->written_path.path, &info,
                                               destination + result.length, segment, &accepted,
                                               NGTCP2_WRITE_STREAM_FLAG_MORE, stream, vectors, in_use, now);
    lp2p_set_current(NULL);
    if (accepted > 0) {
      advance(&at, (size_t)accepted);
      result.accepted += (size_t)accepted;
    }
    if (n <= 0) {
      if (n < 0) result.status = lp2p_status_from_library((int)n);
      break;
    }
    if (info.ecn != ecn || !ngtcp2_path_eq(&self->batch_path.path, &self->written_path.path)) {
      result.stray_length = (size_t)n;
      result.stray_ecn = (uint8_t)info.ecn;
      break;
    }
    result.packets++;
    result.length += (size_t)n;
    if ((size_t)n < segment) break;
  }
  return result;
}
