/* Load on an echo server, counted and checked for length. One number on stdout: what was done in a second.
 *
 *   load PORT ping   CONNECTIONS SIZE SECONDS [FRAME]   messages/s, one outstanding a connection; FRAME: a file to send
 *   load PORT churn  PARALLEL    SIZE SECONDS           connects/s: connect, one message, close
 *   load PORT stream MIB         SIZE SECONDS           bytes/s of one long echo
 *   load PORT idle   CONNECTIONS 0    0                 open connections, print "open", hold until stdin ends
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 1024, BUFFER = 1 << 20 };
static char out[BUFFER], in[BUFFER];
static struct sockaddr_in server = { .sin_family = AF_INET };

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int connected(void)
{
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&server, sizeof server))
		die("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return fd;
}

static void send_all(int fd, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t sent = send(fd, out + done, size - done, MSG_NOSIGNAL);
		if (sent < 0)
			die("send");
		done += sent;
	}
}

static void ping(int connections, size_t size, size_t reply, double seconds)
{
	int poller = epoll_create1(EPOLL_CLOEXEC), *fds = calloc(connections, sizeof *fds);
	size_t *missing = calloc(1 << 20, sizeof *missing);
	struct epoll_event events[EVENTS];
	for (int i = 0; i < connections; i++) {
		fds[i] = connected();
		struct epoll_event event = { .events = EPOLLIN, .data.fd = fds[i] };
		epoll_ctl(poller, EPOLL_CTL_ADD, fds[i], &event);
	}
	for (int i = 0; i < connections; i++) {
		missing[fds[i]] = reply;
		send_all(fds[i], size);
	}
	double start = now(), end = start + seconds;
	long messages = 0;
	while (now() < end) {
		int n = epoll_wait(poller, events, EVENTS, 1000);
		if (n == 0)
			die("silence");
		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;
			ssize_t count = recv(fd, in, reply ? missing[fd] : sizeof in, 0);
			if (count <= 0)
				die("recv");
			if (reply == 0) { /* frames differ in length: the reply has one segment */
				messages++;
				send_all(fd, size);
			} else if ((missing[fd] -= count) == 0) {
				messages++;
				missing[fd] = reply;
				send_all(fd, size);
			}
		}
	}
	printf("%.1f\n", messages / (now() - start));
}

static void churn(int parallel, size_t size, double seconds)
{
	int poller = epoll_create1(EPOLL_CLOEXEC);
	size_t *missing = calloc(1 << 20, sizeof *missing);
	struct epoll_event events[EVENTS];
	double start = now(), end = start + seconds;
	long done = 0;
	for (int open = 0;;) {
		while (open < parallel) {
			int fd = connected();
			send_all(fd, size);
			missing[fd] = size;
			struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
			epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
			open++;
		}
		int n = epoll_wait(poller, events, EVENTS, 1000);
		if (n == 0)
			die("silence");
		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;
			ssize_t count = recv(fd, in, sizeof in, 0);
			if (count <= 0)
				die("recv");
			if ((missing[fd] -= count) == 0) {
				struct linger reset = { 1, 0 }; /* no TIME_WAIT: client ports would run out */
				setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
				close(fd);
				open--;
				done++;
			}
		}
		if (now() >= end)
			break;
	}
	printf("%.1f\n", done / (now() - start));
}

static void stream(double mib, size_t size)
{
	int fd = connected(), poller = epoll_create1(EPOLL_CLOEXEC);
	size_t total = mib * 1024 * 1024, sent = 0, received = 0;
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT, .data.fd = fd };
	fcntl(fd, F_SETFL, O_NONBLOCK);
	epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
	double start = now();
	while (received < total) {
		if (epoll_wait(poller, &event, 1, 5000) == 0)
			die("silence");
		if (event.events & EPOLLIN) {
			ssize_t count = recv(fd, in, sizeof in, 0);
			if (count == 0 || (count < 0 && errno != EAGAIN))
				die("recv");
			received += count > 0 ? count : 0;
		}
		if (event.events & EPOLLOUT && sent < total) {
			ssize_t count = send(fd, out, total - sent < size ? total - sent : size, MSG_NOSIGNAL);
			if (count < 0 && errno != EAGAIN)
				die("send");
			sent += count > 0 ? count : 0;
			if (sent == total) {
				struct epoll_event reading = { .events = EPOLLIN, .data.fd = fd };
				epoll_ctl(poller, EPOLL_CTL_MOD, fd, &reading);
				shutdown(fd, SHUT_WR);
			}
		}
	}
	printf("%.1f\n", total / (now() - start));
}

static void idle(int connections)
{
	for (int i = 0; i < connections; i++) {
		int fd = connected();
		if (i == connections - 1) { /* its echo comes when all before it are accepted */
			send_all(fd, 1);
			if (recv(fd, in, 1, 0) != 1)
				die("recv");
		}
	}
	puts("open");
	fflush(stdout);
	while (getchar() != EOF)
		;
}

int main(int argc, char **argv)
{
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (argc < 6)
		return 2;
	server.sin_port = htons(atoi(argv[1]));
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	size_t size = atoi(argv[4]), reply = size;
	for (size_t i = 0; i < sizeof out; i++)
		out[i] = i * 7;
	if (argc > 6) {
		FILE *file = fopen(argv[6], "rb");
		if (!file)
			die(argv[6]);
		size = fread(out, 1, sizeof out, file);
		reply = 0;
	}
	if (!strcmp(argv[2], "ping"))
		ping(atoi(argv[3]), size, reply, atof(argv[5]));
	else if (!strcmp(argv[2], "churn"))
		churn(atoi(argv[3]), size, atof(argv[5]));
	else if (!strcmp(argv[2], "stream"))
		stream(atof(argv[3]), size);
	else
		idle(atoi(argv[3]));
	return 0;
}
