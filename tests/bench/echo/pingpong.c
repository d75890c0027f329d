/* Round trips of one message after the other, as plain as C can: blocking sockets, two readings of the clock.
 *
 *   pingpong PORT tcp|udp SIZE COUNT PAUSE      p50 and p99 in microseconds on stdout
 *
 * PAUSE: microseconds from one message to the next. Without any, the next datagram reaches the server before it has
 * gone to sleep, which no client that does anything between two messages sees.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static char out[65536], in[65536];

static long long now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
	long long x = *(const long long *)a, y = *(const long long *)b;
	return (x > y) - (x < y);
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

int main(int argc, char **argv)
{
	if (argc != 6)
		return 2;
	int udp = !strcmp(argv[2], "udp"), one = 1;
	ssize_t size = atol(argv[3]);
	long count = atol(argv[4]), pause = atol(argv[5]) * 1000;
	if (size < 1 || size > (ssize_t)sizeof out || count < 1)
		return 2;
	struct sockaddr_in server = { .sin_family = AF_INET, .sin_port = htons(atoi(argv[1])) };
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	long long *times = calloc(count, sizeof *times);
	int fd = socket(AF_INET, udp ? SOCK_DGRAM : SOCK_STREAM, 0);
	if (!times || fd < 0 || connect(fd, (struct sockaddr *)&server, sizeof server))
		die("connect");
	if (!udp)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	struct timeval limit = { .tv_sec = 1 }; /* as ping has it: without, a lost message would be waited for for ever */
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	for (long n = 0; n < count; n++) {
		for (ssize_t i = 0; i < size; i++)
			out[i] = (char)(n + i);
		for (long long until = now() + pause; now() < until;)
			;
		long long start = now();
		if (send(fd, out, size, 0) != size)
			die("send");
		for (ssize_t got = 0; got < size;) {
			ssize_t more = recv(fd, in + got, size - got, 0);
			if (more <= 0)
				die("recv");
			got += more;
		}
		times[n] = now() - start;
		if (memcmp(in, out, size)) {
			fputs("other bytes came back\n", stderr);
			return 1;
		}
	}
	qsort(times, count, sizeof *times, ascending);
	printf("%.2f %.2f\n", times[(count - 1) / 2] / 1e3, times[(count * 99 - 1) / 100] / 1e3);
	return 0;
}
