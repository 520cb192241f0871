/* A disk that a test commands: what a process does to the files beneath one folder goes through here.
 *
 * Preloaded into a child of the tests (`LD_PRELOAD`), never linked into anything. It writes down what happens to the
 * files, in the order in which it happens and with every acknowledgement in its place; it refuses what it is told to
 * refuse; and it kills the process before, inside or behind a call. It knows nothing of stores.
 *
 *   SEQUEL_DISK_ROOT      the folder
 *   SEQUEL_DISK_JOURNAL   where to write down what happens (embedded/journal.rs reads it); may be missing
 *   SEQUEL_DISK_CONTROL   a file with one word that says how the disk is now; may be missing or empty:
 *                           space N        no more than N further bytes fit
 *                           read-only      as mounted read-only
 *                           broken-write   writes fail with EIO
 *                           broken-sync N  the next N syncs fail with EIO, and what they should have synced may be gone
 *                           deaf-sync      syncs say that they succeed and do nothing
 *   SEQUEL_DISK_KILL      "CLASS WHEN N": SIGKILL at the Nth call of a class (write, sync, name, ack): before, half
 *                         (a write of which half arrives), after
 *
 * An acknowledgement is a write to standard error that begins with "ack ".
 *
 * One lock is held over each call and its entry, so the order written down is the order in which things happened.
 * Mapped files are not seen: SQLite's `-shm` is the only one, and nothing reads that after a restart. Neither are
 * calls that bypass the C library.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name) {
  void *found = dlsym(RTLD_NEXT, name);
  if (!found) abort();
  return found;
}

enum class { WRITE, SYNC, NAME, ACK, NONE };
enum when { NEVER, BEFORE, HALF, AFTER };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *root, *control;
static size_t root_length;
static int journal = -1;
static enum class kill_class = NONE;
static enum when kill_when = NEVER;
static long kill_at;
/* How the disk is, the text that said so, and what was used up since. */
static struct {
  char text[64];
  long space, syncs;
  int write_error, deaf;
} mood;

/* A variable as it was at the start: a server may write its title over its environment. */
static const char *kept(const char *name) {
  const char *value = getenv(name);
  return value ? strdup(value) : NULL;
}

__attribute__((constructor)) static void start(void) {
  root = kept("SEQUEL_DISK_ROOT");
  if (!root) return;
  root_length = strlen(root);
  control = kept("SEQUEL_DISK_CONTROL");
  const char *path = getenv("SEQUEL_DISK_JOURNAL");
  if (path) {
    journal = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (journal < 0) abort();
  }
  const char *order = getenv("SEQUEL_DISK_KILL");
  char class_word[8], when_word[8];
  if (!order) return;
  if (sscanf(order, "%7s %7s %ld", class_word, when_word, &kill_at) != 3) abort();
  kill_class = !strcmp(class_word, "write") ? WRITE : !strcmp(class_word, "sync") ? SYNC : !strcmp(class_word, "name") ? NAME : ACK;
  kill_when = !strcmp(when_word, "before") ? BEFORE : !strcmp(when_word, "half") ? HALF : AFTER;
}

/* Entry: kind, inode, number, length, then so many bytes. Little-endian as the machine is, packed. */
static void note(char kind, uint64_t inode, uint64_t number, const void *bytes, uint64_t length) {
  if (journal < 0) return;
  struct __attribute__((packed)) { char kind; uint64_t inode, number, length; } head = {kind, inode, number, length};
  struct iovec parts[2] = {{&head, sizeof head}, {(void *)bytes, length}};
  if (syscall(SYS_writev, journal, parts, 2) != (long)(sizeof head + length)) abort();
}

/* Whether it is this call's turn to be the last one; `before` is carried out at once. */
static enum when turn(enum class class) {
  if (class != kill_class || --kill_at != 0) return NEVER;
  if (kill_when == BEFORE) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
  }
  return kill_when;
}

static void end_after(enum when when) {
  if (when == NEVER) return;
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

/* Reads the control file again. Its text changing is what starts a count anew. */
static void look(void) {
  char text[sizeof mood.text] = "";
  if (!control) return;
  int fd = syscall(SYS_openat, AT_FDCWD, control, O_RDONLY | O_CLOEXEC, 0);
  if (fd >= 0) {
    long got = syscall(SYS_read, fd, text, sizeof text - 1);
    text[got > 0 ? got : 0] = 0;
    syscall(SYS_close, fd);
  }
  if (!strcmp(text, mood.text)) return;
  memset(&mood, 0, sizeof mood);
  strcpy(mood.text, text);
  if (!strncmp(text, "space ", 6)) mood.space = atol(text + 6);
  else if (!strncmp(text, "broken-sync ", 12)) mood.syncs = atol(text + 12);
  else if (!strcmp(text, "deaf-sync")) mood.deaf = 1;
  else if (!strcmp(text, "read-only")) mood.write_error = EROFS;
  else if (!strcmp(text, "broken-write")) mood.write_error = EIO;
  else if (*text) abort();
}

static int is_limited(void) { return !strncmp(mood.text, "space ", 6); }

/* The part of `path` below the root, without a slash in front; NULL for one that is elsewhere. */
static const char *below(const char *path) {
  if (!root || strncmp(path, root, root_length)) return NULL;
  if (!path[root_length]) return path + root_length;
  return path[root_length] == '/' ? path + root_length + 1 : NULL;
}

/* The same for an open file. */
static const char *below_of(int fd, char path[PATH_MAX]) {
  if (!root) return NULL;
  char link[32];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  if (length <= 0) return NULL;
  path[length] = 0;
  return below(path);
}

/* The same for a path that a call was given. */
static const char *below_at(int folder, const char *path, char whole[PATH_MAX]) {
  if (!root || !path) return NULL;
  char from[PATH_MAX] = "";
  if (*path != '/') {
    if (folder == AT_FDCWD) {
      if (!getcwd(from, sizeof from)) return NULL;
    } else {
      char link[32];
      snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
      ssize_t length = readlink(link, from, sizeof from - 1);
      if (length <= 0) return NULL;
      from[length] = 0;
    }
    strncat(from, "/", sizeof from - strlen(from) - 1);
  }
  if (snprintf(whole, PATH_MAX, "%s%s", from, path) >= PATH_MAX) abort();
  return below(whole);
}

static int refused(int error) {
  pthread_mutex_unlock(&lock);
  errno = error;
  return -1;
}

/* What is done behind each call: keeps its errno and gives the lock back. */
static void done(enum when when) {
  int error = errno;
  end_after(when);
  pthread_mutex_unlock(&lock);
  errno = error;
}

static ssize_t raw_write(int fd, const void *bytes, size_t length, off_t at) {
  return at < 0 ? REAL(write)(fd, bytes, length) : REAL(pwrite)(fd, bytes, length, at);
}

/* A write at `at`, or where the file stands for a negative one. */
static ssize_t put(int fd, const void *bytes, size_t length, off_t at) {
  char path[PATH_MAX];
  if (!below_of(fd, path)) return raw_write(fd, bytes, length, at);
  pthread_mutex_lock(&lock);
  look();
  enum when when = turn(WRITE);
  if (mood.write_error) return refused(mood.write_error);
  struct stat file;
  if (fstat(fd, &file)) abort();
  off_t from = at;
  if (from < 0) from = fcntl(fd, F_GETFL) & O_APPEND ? file.st_size : lseek(fd, 0, SEEK_CUR);
  if (is_limited() && from + (off_t)length > file.st_size) {
    /* What lies inside the file has its place already; beyond it as much as is left. */
    off_t inside = file.st_size > from ? file.st_size - from : 0;
    off_t fits = file.st_size + mood.space - from;
    if (fits < inside) fits = inside;
    if (fits < (off_t)length) length = fits;
    if (length == 0) return refused(ENOSPC);
  }
  if (when == HALF && length > 1) length /= 2;
  ssize_t written = raw_write(fd, bytes, length, at);
  if (written > 0) {
    if (is_limited() && from + written > file.st_size) mood.space -= from + written - file.st_size;
    note('w', file.st_ino, from, bytes, written);
  }
  done(when);
  return written;
}

ssize_t write(int fd, const void *bytes, size_t length) {
  if (fd == 2 && length > 4 && !memcmp(bytes, "ack ", 4)) {
    pthread_mutex_lock(&lock);
    enum when when = turn(ACK);
    note('a', 0, 0, bytes, length);
    ssize_t written = REAL(write)(fd, bytes, length);
    done(when);
    return written;
  }
  return put(fd, bytes, length, -1);
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) { return put(fd, bytes, length, at); }
ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t at) { return put(fd, bytes, length, at); }

static ssize_t put_all(int fd, const struct iovec *parts, int count, off_t at) {
  ssize_t total = 0;
  for (int part = 0; part < count; part++) {
    ssize_t written = put(fd, parts[part].iov_base, parts[part].iov_len, at < 0 ? at : at + total);
    if (written < 0) return total ? total : -1;
    total += written;
    if ((size_t)written < parts[part].iov_len) break;
  }
  return total;
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
  char path[PATH_MAX];
  return below_of(fd, path) ? put_all(fd, parts, count, -1) : REAL(writev)(fd, parts, count);
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
  char path[PATH_MAX];
  return below_of(fd, path) ? put_all(fd, parts, count, at) : REAL(pwritev)(fd, parts, count, at);
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t at) { return pwritev(fd, parts, count, at); }

static int resize(int fd, off_t length) {
  char path[PATH_MAX];
  if (!below_of(fd, path)) return REAL(ftruncate)(fd, length);
  pthread_mutex_lock(&lock);
  look();
  enum when when = turn(WRITE);
  if (mood.write_error) return refused(mood.write_error);
  struct stat file;
  if (fstat(fd, &file)) abort();
  int outcome = REAL(ftruncate)(fd, length);
  if (!outcome) {
    /* Growing leaves a hole, which takes no space. */
    if (is_limited() && length < file.st_size) mood.space += file.st_size - length;
    note('t', file.st_ino, length, NULL, 0);
  }
  done(when);
  return outcome;
}
int ftruncate(int fd, off_t length) { return resize(fd, length); }
int ftruncate64(int fd, off_t length) { return resize(fd, length); }

/* Reserving space is refused as by a file system that cannot: callers then write, which is seen. */
int fallocate(int fd, int mode, off_t from, off_t length) {
  char path[PATH_MAX];
  if (!below_of(fd, path)) return REAL(fallocate)(fd, mode, from, length);
  errno = EOPNOTSUPP;
  return -1;
}
int fallocate64(int fd, int mode, off_t from, off_t length) { return fallocate(fd, mode, from, length); }
int posix_fallocate(int fd, off_t from, off_t length) {
  char path[PATH_MAX];
  return below_of(fd, path) ? EOPNOTSUPP : REAL(posix_fallocate)(fd, from, length);
}
int posix_fallocate64(int fd, off_t from, off_t length) { return posix_fallocate(fd, from, length); }
ssize_t copy_file_range(int in, off_t *from, int out, off_t *to, size_t length, unsigned flags) {
  char path[PATH_MAX];
  if (!below_of(out, path)) return REAL(copy_file_range)(in, from, out, to, length, flags);
  errno = EXDEV;
  return -1;
}

static int sync_with(int (*sync)(int), int fd) {
  char path[PATH_MAX];
  const char *name = below_of(fd, path);
  if (!name) return sync(fd);
  pthread_mutex_lock(&lock);
  look();
  enum when when = turn(SYNC);
  struct stat file;
  if (fstat(fd, &file)) abort();
  int outcome = 0;
  if (mood.syncs > 0) {
    mood.syncs--;
    note('x', file.st_ino, S_ISDIR(file.st_mode), name, strlen(name));
    errno = EIO;
    outcome = -1;
  } else if (!mood.deaf) {
    /* Nothing is synced in truth: what survives is decided from the journal, and the tests' own disk is spared. */
    note('s', file.st_ino, S_ISDIR(file.st_mode), name, strlen(name));
  }
  done(when);
  return outcome;
}
int fsync(int fd) { return sync_with(REAL(fsync), fd); }
int fdatasync(int fd) { return sync_with(REAL(fdatasync), fd); }

/* Starts writing pages back and waits for that, but for neither a file's length nor the disk's own cache: no sync. */
int sync_file_range(int fd, off_t from, off_t length, unsigned flags) {
  char path[PATH_MAX];
  if (!below_of(fd, path)) return REAL(sync_file_range)(fd, from, length, flags);
  pthread_mutex_lock(&lock);
  look();
  int error = mood.syncs > 0 || mood.write_error ? EIO : 0;
  if (mood.syncs > 0) mood.syncs--;
  pthread_mutex_unlock(&lock);
  errno = error;
  return error ? -1 : 0;
}

static int open_with(int folder, const char *path, int flags, mode_t mode) {
  char whole[PATH_MAX];
  const char *name = below_at(folder, path, whole);
  if (!name) return syscall(SYS_openat, folder, path, flags | O_LARGEFILE, mode);
  pthread_mutex_lock(&lock);
  look();
  struct stat before, after;
  int was_there = stat(whole, &before) == 0;
  int creates = flags & O_CREAT && !was_there, cuts = flags & O_TRUNC && was_there && before.st_size > 0;
  int changes = creates || cuts || (flags & O_ACCMODE) != O_RDONLY;
  if (mood.write_error == EROFS && changes) return refused(EROFS);
  enum when when = creates ? turn(NAME) : NEVER;
  int fd = syscall(SYS_openat, folder, path, flags | O_LARGEFILE, mode);
  if (fd >= 0 && creates && !fstat(fd, &after)) note('c', after.st_ino, 0, name, strlen(name));
  if (fd >= 0 && cuts) {
    if (is_limited()) mood.space += before.st_size;
    note('t', before.st_ino, 0, NULL, 0);
  }
  done(when);
  return fd;
}

#define MODE_OF(flags)                                  \
  mode_t mode = 0;                                      \
  if ((flags) & O_CREAT || ((flags) & O_TMPFILE) == O_TMPFILE) { \
    va_list rest;                                       \
    va_start(rest, flags);                              \
    mode = va_arg(rest, int);                           \
    va_end(rest);                                       \
  }
int open(const char *path, int flags, ...) { MODE_OF(flags) return open_with(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE_OF(flags) return open_with(AT_FDCWD, path, flags, mode); }
int openat(int folder, const char *path, int flags, ...) { MODE_OF(flags) return open_with(folder, path, flags, mode); }
int openat64(int folder, const char *path, int flags, ...) { MODE_OF(flags) return open_with(folder, path, flags, mode); }
int creat(const char *path, mode_t mode) { return open_with(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode); }

/* Changes of names. */
static int rename_with(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
  char whole_from[PATH_MAX], whole_to[PATH_MAX], both[2 * PATH_MAX];
  const char *name_from = below_at(from_folder, from, whole_from), *name_to = below_at(to_folder, to, whole_to);
  if (!name_from || !name_to) return syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
  pthread_mutex_lock(&lock);
  look();
  enum when when = turn(NAME);
  if (mood.write_error) return refused(mood.write_error);
  int outcome = syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
  if (!outcome) {
    size_t length = strlen(name_from) + 1;
    memcpy(both, name_from, length);
    strcpy(both + length, name_to);
    note('r', 0, 0, both, length + strlen(name_to));
  }
  done(when);
  return outcome;
}
int rename(const char *from, const char *to) { return rename_with(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int from_folder, const char *from, int to_folder, const char *to) {
  return rename_with(from_folder, from, to_folder, to, 0);
}
int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
  return rename_with(from_folder, from, to_folder, to, flags);
}

static int unlink_with(int folder, const char *path, int flags) {
  char whole[PATH_MAX];
  const char *name = below_at(folder, path, whole);
  if (!name) return syscall(SYS_unlinkat, folder, path, flags);
  pthread_mutex_lock(&lock);
  look();
  enum when when = turn(NAME);
  if (mood.write_error) return refused(mood.write_error);
  struct stat file = {0};
  stat(whole, &file);
  int outcome = syscall(SYS_unlinkat, folder, path, flags);
  if (!outcome) {
    if (is_limited()) mood.space += file.st_size;
    note('u', 0, 0, name, strlen(name));
  }
  done(when);
  return outcome;
}
int unlink(const char *path) { return unlink_with(AT_FDCWD, path, 0); }
int unlinkat(int folder, const char *path, int flags) { return unlink_with(folder, path, flags); }
int rmdir(const char *path) { return unlink_with(AT_FDCWD, path, AT_REMOVEDIR); }

static int mkdir_with(int folder, const char *path, mode_t mode) {
  char whole[PATH_MAX];
  const char *name = below_at(folder, path, whole);
  if (!name) return syscall(SYS_mkdirat, folder, path, mode);
  pthread_mutex_lock(&lock);
  look();
  enum when when = turn(NAME);
  if (mood.write_error) return refused(mood.write_error);
  int outcome = syscall(SYS_mkdirat, folder, path, mode);
  if (!outcome) note('m', 0, 0, name, strlen(name));
  done(when);
  return outcome;
}
int mkdir(const char *path, mode_t mode) { return mkdir_with(AT_FDCWD, path, mode); }
int mkdirat(int folder, const char *path, mode_t mode) { return mkdir_with(folder, path, mode); }

/* Hard links are not followed: nothing here makes any, and one that was missed would make the journal wrong. */
int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
  char whole[PATH_MAX];
  if (below_at(to_folder, to, whole)) abort();
  return syscall(SYS_linkat, from_folder, from, to_folder, to, flags);
}
int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }
