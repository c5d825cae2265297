import YokeCommands

@main
struct Main {
    static func main() async {
        await CommandMain.run()
    }
}
