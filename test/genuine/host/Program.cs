using System.Net.Http.Json;
using System.Reflection;
using System.Reflection.Emit;
using System.Text;
using Microsoft.Azure.WebJobs;
using Microsoft.Azure.WebJobs.Extensions.DurableTask;
using Microsoft.Azure.WebJobs.Script.Workers.Rpc;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Newtonsoft.Json.Linq;

// The genuine Durable extension without the Functions host: functions by name, whose code runs in the Node process behind HOLDFAST_BRIDGE.
Environment.SetEnvironmentVariable("FUNCTIONS_WORKER_RUNTIME", "node");
var bridge = Environment.GetEnvironmentVariable("HOLDFAST_BRIDGE") ?? throw new InvalidOperationException("HOLDFAST_BRIDGE is not set");
Bridge.Client.BaseAddress = new Uri(bridge);
var app = JObject.Parse(await Bridge.Client.GetStringAsync("/app"));
var types = Emitted.Types(app["orchestrations"]!.Values<string>()!, app["activities"]!.Values<string>()!);
var settings = new Dictionary<string, string?> { ["AzureWebJobsStorage"] = (string)app["storage"]!, ["FUNCTIONS_WORKER_RUNTIME"] = "node" };
// The section of host.json, where the WebJobs SDK looks for it.
foreach (var value in app["durableTask"]!.SelectTokens("$..*").OfType<JValue>()) settings["AzureWebJobs:extensions:" + value.Path.Replace('.', ':')] = value.ToString(System.Globalization.CultureInfo.InvariantCulture);
var host = new HostBuilder()
    .ConfigureAppConfiguration(config => config.AddInMemoryCollection(settings))
    .ConfigureWebJobs(builder => builder.AddDurableTask(options =>
    {
        options.LocalRpcEndpointEnabled = true;
        // In Azure the Functions host says where webhooks are; without an address the extension cannot answer a start.
        var webhooks = typeof(DurableTaskOptions).GetProperty("WebhookUriProviderOverride", BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic)!;
        webhooks.SetValue(options, (Func<Uri>)(() => new Uri("http://localhost:7071/runtime/webhooks/durabletask?code=none")));
    }))
    .ConfigureServices(services => services.AddSingleton<ITypeLocator>(new Locator(types)))
    .ConfigureLogging(logging => { logging.AddSimpleConsole(o => o.SingleLine = true); logging.SetMinimumLevel(LogLevel.Warning); })
    .Build();
await host.StartAsync();
Console.WriteLine("READY");
// The parent ends this process by closing its input.
while (Console.In.ReadLine() != null) { }
await host.StopAsync();

sealed class Locator(IReadOnlyList<Type> types) : ITypeLocator
{
    public IReadOnlyList<Type> GetTypes() => types;
}

/// <summary>One static method a function, as the Functions host generates them for a language worker: its trigger as a string, its result as an object.</summary>
static class Emitted
{
    public static IReadOnlyList<Type> Types(IEnumerable<string?> orchestrations, IEnumerable<string?> activities)
    {
        var assembly = AssemblyBuilder.DefineDynamicAssembly(new AssemblyName("HoldfastFunctions"), AssemblyBuilderAccess.Run);
        var type = assembly.DefineDynamicModule("main").DefineType("Functions", TypeAttributes.Public | TypeAttributes.Abstract | TypeAttributes.Sealed);
        foreach (var name in orchestrations) Add(type, name!, typeof(OrchestrationTriggerAttribute), nameof(Bridge.Orchestration));
        foreach (var name in activities) Add(type, name!, typeof(ActivityTriggerAttribute), nameof(Bridge.Activity));
        return [type.CreateType()];
    }

    static void Add(TypeBuilder type, string name, Type trigger, string target)
    {
        var method = type.DefineMethod(name, MethodAttributes.Public | MethodAttributes.Static, typeof(Task<object>), [typeof(string)]);
        method.SetCustomAttribute(new CustomAttributeBuilder(typeof(FunctionNameAttribute).GetConstructor([typeof(string)])!, [name]));
        var parameter = method.DefineParameter(1, ParameterAttributes.None, "context");
        parameter.SetCustomAttribute(new CustomAttributeBuilder(trigger.GetConstructor(Type.EmptyTypes)!, []));
        var il = method.GetILGenerator();
        il.Emit(OpCodes.Ldstr, name);
        il.Emit(OpCodes.Ldarg_0);
        il.Emit(OpCodes.Call, typeof(Bridge).GetMethod(target)!);
        il.Emit(OpCodes.Ret);
    }
}

public static class Bridge
{
    public static readonly HttpClient Client = new() { Timeout = TimeSpan.FromMinutes(30) };

    public static Task<object?> Orchestration(string name, string context) => Call("orchestrations", name, context);
    public static Task<object?> Activity(string name, string? context) => Call("activities", name, context);

    static async Task<object?> Call(string kind, string name, string? text)
    {
        // An orchestrator's thread is blocked until this is done: nothing may come back to it.
        using var response = await Client.PostAsync($"/{kind}/{name}", text is null ? null : new StringContent(text, Encoding.UTF8, "text/plain")).ConfigureAwait(false);
        var answer = JObject.Parse(await response.Content.ReadAsStringAsync().ConfigureAwait(false));
        if (answer["error"] is JObject error) throw new RpcException((string)error["message"]!, (string)error["stackTrace"]!);
        return answer["value"] switch { null => null, JValue { Type: JTokenType.Null } => null, JValue { Type: JTokenType.String } text_ => (string)text_!, var token => token };
    }
}

namespace Microsoft.Azure.WebJobs.Script.Workers.Rpc
{
    /// <summary>What the Functions host throws for a failure in a language worker; the extension knows it by its name.</summary>
    public sealed class RpcException(string message, string stack) : Exception($"Result: Failure\nException: {message}\nStack: {stack}")
    {
        public bool IsUserException => false;
        public string RemoteMessage => message;
        public string RemoteStackTrace => stack;
    }
}
