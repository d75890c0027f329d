/* A single-threaded epoll echo server: the yardstick for `netprobe echo serve`. usage: server PORT
 * Several may share a port. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER = 256 * 1024, EVENTS = 1024 };

static char buffer[BUFFER];
static int poller;

struct pending { char *data; size_t from, to; };
static struct pending *pending; /* by descriptor */

static void drop(int fd)
{
	free(pending[fd].data);
	memset(&pending[fd], 0, sizeof pending[fd]);
	close(fd);
}

static void watch(int fd, unsigned events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };
	epoll_ctl(poller, EPOLL_CTL_MOD, fd, &event);
}

static void accept_all(int listener)
{
	int one = 1;
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
		epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
	}
}

static void readable(int fd)
{
	ssize_t count = recv(fd, buffer, sizeof buffer, 0);
	if (count <= 0) {
		if (count == 0 || errno != EAGAIN)
			drop(fd);
		return;
	}
	ssize_t sent = send(fd, buffer, count, MSG_NOSIGNAL);
	if (sent < 0) {
		if (errno != EAGAIN) {
			drop(fd);
			return;
		}
		sent = 0;
	}
	if (sent < count) {
		pending[fd].data = malloc(count - sent);
		memcpy(pending[fd].data, buffer + sent, count - sent);
		pending[fd].from = 0;
		pending[fd].to = count - sent;
		watch(fd, EPOLLOUT);
	}
}

static void writable(int fd)
{
	struct pending *p = &pending[fd];
	ssize_t sent = send(fd, p->data + p->from, p->to - p->from, MSG_NOSIGNAL);
	if (sent < 0) {
		if (errno != EAGAIN)
			drop(fd);
		return;
	}
	p->from += sent;
	if (p->from == p->to) {
		free(p->data);
		memset(p, 0, sizeof *p);
		watch(fd, EPOLLIN);
	}
}

int main(int argc, char **argv)
{
	struct epoll_event events[EVENTS];
	struct rlimit limit;
	int one = 1;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	pending = calloc(limit.rlim_max, sizeof *pending);
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(argc > 1 ? atoi(argv[1]) : 0) };
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
	if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) {
		perror("server");
		return 3;
	}
	socklen_t length = sizeof address;
	getsockname(listener, (struct sockaddr *)&address, &length);
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	poller = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN, .data.fd = listener };
	epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
	for (;;) {
		int n = epoll_wait(poller, events, EVENTS, -1);
		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;
			if (fd == listener)
				accept_all(listener);
			else if (events[i].events & EPOLLOUT)
				writable(fd);
			else
				readable(fd);
		}
	}
}
