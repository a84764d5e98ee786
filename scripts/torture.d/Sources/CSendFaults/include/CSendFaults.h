#ifndef C_SEND_FAULTS_H
#define C_SEND_FAULTS_H

/// Makes every `every`th sendmsg of this program fail with `error`, an errno; 0 for none. On Linux only.
void send_faults_set(int every, int error);

/// How many calls failed on purpose so far.
long send_faults_count(void);

#endif
