/*
 * A disk that misbehaves on demand, for one process: loaded with LD_PRELOAD, it stands between the process and fsync and
 * fdatasync. The first byte of the file named by FAULT_DISK_CONTROL says what happens: 'h' hangs until it says something
 * else, 'e' fails with EIO, anything else is a healthy disk.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

typedef int (*sync_call)(int);

static char mode(void) {
  const char *path = getenv("FAULT_DISK_CONTROL");
  if (path == NULL) return '-';
  int control = open(path, O_RDONLY | O_CLOEXEC);
  if (control < 0) return '-';
  char byte = '-';
  if (read(control, &byte, 1) != 1) byte = '-';
  close(control);
  return byte;
}

static int misbehave(sync_call real, int file) {
  char now = mode();
  while (now == 'h') {
    usleep(20000);
    now = mode();
  }
  if (now == 'e') {
    errno = EIO;
    return -1;
  }
  return real(file);
}

int fsync(int file) {
  static sync_call real;
  if (real == NULL) real = (sync_call)dlsym(RTLD_NEXT, "fsync");
  return misbehave(real, file);
}

int fdatasync(int file) {
  static sync_call real;
  if (real == NULL) real = (sync_call)dlsym(RTLD_NEXT, "fdatasync");
  return misbehave(real, file);
}
