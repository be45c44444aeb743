/* PID 1 of the enclave: mounts, entropy, loopback, heartbeat, then the one program, and the end of the machine with it.
 *
 * Takes nothing from outside but the measured kernel command line. Anything that fails ends the enclave: it is started
 * anew by the parent, and half a start would serve nobody. Written for musl, linked statically, no allocation.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <net/if.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

/* From linux/vm_sockets.h, which musl does not have. */
#define AF_VSOCK_FAMILY 40
struct vsock_address {
    uint16_t family;
    uint16_t reserved;
    uint32_t port;
    uint32_t cid;
    uint8_t zero[4];
};

#define PARENT_CID 3          /* Nitro: the parent is always CID 3 */
#define HEARTBEAT_PORT 9000   /* nitro-cli waits there for the byte, and answers it */
#define HEARTBEAT_BYTE 0xB7
#define HEARTBEAT_SECONDS 10
#define PARENT_OPTION "chancery.parent_cid="
#define APPLICATION_ID 1000   /* user and group that the program runs as */
#define LOCKED_BYTES (64u << 20) /* of memory that it may lock: keys are never swapped or dumped */

static char *const ARGUMENTS[] = {"/usr/bin/python3", "-I", "-B", "-u", "-m", "enclave", NULL};
static char *const ENVIRONMENT[] = {"PATH=/usr/bin", "LC_ALL=C.UTF-8", "HOME=/", NULL};

static void say(const char *format, ...)
{
    char line[256];
    va_list list;
    va_start(list, format);
    int length = vsnprintf(line, sizeof line, format, list);
    va_end(list);
    if (length > 0)
        dprintf(STDERR_FILENO, "init: %s\n", line);
}

/* The machine stops: reboot ends an enclave on Nitro, and QEMU when it was started with -no-reboot. */
static void end(void)
{
    sync();
    reboot(RB_AUTOBOOT);
    _exit(1); /* PID 1 ends: the kernel panics, and reboots at once */
}

static void require(int held, const char *what)
{
    if (held)
        return;
    say("%s: %s", what, strerror(errno));
    end();
}

static void mount_on(const char *kind, const char *target, unsigned long flags, const char *options)
{
    if (mkdir(target, 0755) != 0)
        require(errno == EEXIST, target);
    if (mount(kind, target, kind, flags, options) != 0)
        require(errno == EBUSY, target); /* the kernel mounts devtmpfs by itself where it is told to */
}

static void mounts(void)
{
    const unsigned long quiet = MS_NOSUID | MS_NOEXEC | MS_NODEV;
    mount_on("devtmpfs", "/dev", MS_NOSUID | MS_NOEXEC, NULL);
    mount_on("proc", "/proc", quiet, "hidepid=invisible");
    mount_on("sysfs", "/sys", quiet | MS_RDONLY, NULL);
    mount_on("tmpfs", "/run", quiet, "mode=0755,size=1m");
    mount_on("tmpfs", "/tmp", quiet, "mode=1777,size=16m");
}

static void console(void)
{
    int descriptor = open("/dev/console", O_RDWR | O_NOCTTY);
    require(descriptor >= 0, "/dev/console");
    for (int number = 0; number <= 2; number++)
        require(dup2(descriptor, number) == number, "console");
    if (descriptor > 2)
        close(descriptor);
}

/* The generator must be seeded before anything draws from it; getrandom blocks until it is. */
static void entropy(void)
{
    unsigned char byte;
    require(getrandom(&byte, 1, 0) == 1, "getrandom");
}

static void loopback(void)
{
    int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_name = "lo"};
    require(descriptor >= 0 && ioctl(descriptor, SIOCGIFFLAGS, &request) == 0, "loopback");
    request.ifr_flags |= IFF_UP;
    require(ioctl(descriptor, SIOCSIFFLAGS, &request) == 0, "loopback");
    close(descriptor);
}

/* The parent's CID: 3, unless the (measured) command line has one such option with a number in it. */
static uint32_t parent_cid(void)
{
    char line[4096];
    int descriptor = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
    require(descriptor >= 0, "/proc/cmdline");
    ssize_t length = read(descriptor, line, sizeof line - 1);
    require(length >= 0, "/proc/cmdline");
    close(descriptor);
    line[length] = '\0';
    uint32_t cid = PARENT_CID;
    char *rest = line;
    for (char *word; (word = strsep(&rest, " \n")) != NULL;) {
        if (strncmp(word, PARENT_OPTION, sizeof PARENT_OPTION - 1) != 0)
            continue;
        char *after;
        errno = 0;
        unsigned long number = strtoul(word + sizeof PARENT_OPTION - 1, &after, 10);
        errno = EINVAL;
        require(*after == '\0' && number >= 2 && number < UINT32_MAX, word);
        cid = (uint32_t)number;
    }
    return cid;
}

/* Tells nitro-cli that the image has started; it gives up on an enclave that does not say so. */
static void heartbeat(uint32_t cid)
{
    struct vsock_address address = {.family = AF_VSOCK_FAMILY, .port = HEARTBEAT_PORT, .cid = cid};
    struct timeval deadline = {.tv_sec = HEARTBEAT_SECONDS};
    unsigned char byte = HEARTBEAT_BYTE;
    int descriptor = socket(AF_VSOCK_FAMILY, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(descriptor >= 0, "vsock");
    require(setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline) == 0, "vsock");
    require(connect(descriptor, (struct sockaddr *)&address, sizeof address) == 0, "heartbeat");
    require(write(descriptor, &byte, 1) == 1, "heartbeat");
    byte = 0;
    ssize_t length = read(descriptor, &byte, 1);
    if (length >= 0)
        errno = EPROTO;
    require(length == 1 && byte == HEARTBEAT_BYTE, "heartbeat answer");
    close(descriptor);
}

static pid_t start(void)
{
    pid_t child = fork();
    require(child >= 0, "fork");
    if (child > 0)
        return child;
    sigset_t unblocked;
    sigemptyset(&unblocked);
    if (sigprocmask(SIG_SETMASK, &unblocked, NULL) != 0 || setsid() < 0)
        _exit(126);
    umask(077);
    const struct rlimit locked = {LOCKED_BYTES, LOCKED_BYTES}, none = {0, 0};
    if (setrlimit(RLIMIT_MEMLOCK, &locked) != 0 || setrlimit(RLIMIT_CORE, &none) != 0 ||
        setgroups(0, NULL) != 0 || setgid(APPLICATION_ID) != 0 || setuid(APPLICATION_ID) != 0)
        _exit(125);
    execve(ARGUMENTS[0], ARGUMENTS, ENVIRONMENT);
    say("%s: %s", ARGUMENTS[0], strerror(errno));
    _exit(127);
}

/* Reaps whatever ends; returns when `child` has. */
static void reap_until(pid_t child)
{
    int status = 0;
    for (pid_t ended = 0; ended != child;) {
        ended = waitpid(-1, &status, 0);
        require(ended > 0 || errno == EINTR, "wait");
    }
    if (WIFSIGNALED(status))
        say("the enclave was ended by signal %d", WTERMSIG(status));
    else
        say("the enclave ended with status %d", WEXITSTATUS(status));
}

int main(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    umask(022);
    mounts();
    console();
    entropy();
    loopback();
    heartbeat(parent_cid());
    reap_until(start());
    end();
}
