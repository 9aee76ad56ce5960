/* For checks under Wine: tcp.exe PORT < request > answer. The agent serves processes of its own session alone, so the caller of its port
 * must be a Windows program. */
#include <fcntl.h>
#include <io.h>
#include <stdio.h>
#include <stdlib.h>
#include <winsock2.h>

int main(int count, char **arguments)
{
    static char block[1 << 16];
    WSADATA data;
    struct sockaddr_in to = {0};
    int length;
    SOCKET peer;

    if (count != 2 || WSAStartup(MAKEWORD(2, 2), &data))
        return 2;
    _setmode(0, _O_BINARY);
    _setmode(1, _O_BINARY);
    to.sin_family = AF_INET;
    to.sin_port = htons((unsigned short)atoi(arguments[1]));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    peer = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(peer, (struct sockaddr *)&to, sizeof to))
        return 1;
    while ((length = (int)fread(block, 1, sizeof block, stdin)) > 0)
        for (int sent = 0; sent < length;) {
            int n = send(peer, block + sent, length - sent, 0);
            if (n <= 0)
                return 1;
            sent += n;
        }
    while ((length = recv(peer, block, sizeof block, 0)) > 0)
        fwrite(block, 1, (size_t)length, stdout);
    return 0;
}
