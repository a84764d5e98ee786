#include "lp2p_unproved_path.h"

void lp2p_unproved_path_init(lp2p_unproved_path *self, const ngtcp2_path *path) {
  self->is_active = 0;
  ngtcp2_path_storage_zero(&self->proved);
  ngtcp2_path_storage_zero(&self->path);
  ngtcp2_path_copy(&self->proved.path, path);
}

void lp2p_unproved_path_received(lp2p_unproved_path *self, const ngtcp2_path *path, const ngtcp2_path *current,
                                 size_t length, uint64_t patience, uint64_t now) {
  if (self->is_active) {
    if (ngtcp2_path_eq(current, &self->path.path)) {
      if (ngtcp2_path_eq(path, current)) {
        self->received += length;
      }
      return;
    }
    self->is_active = 0;
  }
  if (ngtcp2_path_eq(current, &self->proved.path)) {
    return;
  }
  ngtcp2_path_copy(&self->path.path, current);
  self->is_active = 1;
  self->received = length;
  self->sent = 0;
  self->until = now + patience;
}

void lp2p_unproved_path_validated(lp2p_unproved_path *self, const ngtcp2_path *path) {
  ngtcp2_path_copy(&self->proved.path, path);
  if (self->is_active && ngtcp2_path_eq(path, &self->path.path)) {
    self->is_active = 0;
  }
}

size_t lp2p_unproved_path_room(lp2p_unproved_path *self, size_t capacity, uint64_t now) {
  if (!self->is_active) {
    return capacity;
  }
  if (now >= self->until) {
    /* The library has given the validation up by now, or knows the path from before. */
    self->is_active = 0;
    return capacity;
  }
  uint64_t allowance = 3 * self->received;
  uint64_t room = allowance > self->sent + 1 ? allowance - self->sent - 1 : 0;
  return room < capacity ? (size_t)room : capacity;
}

void lp2p_unproved_path_sent(lp2p_unproved_path *self, const ngtcp2_path *path, size_t length) {
  if (self->is_active && ngtcp2_path_eq(path, &self->path.path)) {
    self->sent += length;
  }
}
